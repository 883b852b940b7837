"""How uvicorn reads requests: ``--http app.kit.api.protocol:HttpProtocol``."""

from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

WITHOUT_TRAILERS = "todo.without_trailers"
"""The ASGI extension of a server that never takes a trailer for a header."""

_OF_A_BODY = {b"content-length", b"transfer-encoding"}


class HttpProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, which takes for headers what is sent as headers, and nothing else.

    A gateway that removes a header, such as an identity that the client claims, need not look for
    it in a body or behind one. Uvicorn's own would add the trailers behind a body to the headers
    (RFC 9110, section 6.5.1, forbids that), and read the body as the next request if this one asks
    for an upgrade.
    """

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["extensions"] = {WITHOUT_TRAILERS: {}}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header, but no trailer."""
        if "method" not in self.scope:  # the end of the headers sets it
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer; with 400, if an upgrade would leave the body to be read anew."""
        if self.parser.should_upgrade() and _OF_A_BODY & {name for name, _ in self.headers}:
            raise HttpParserError("an upgrade with a body")
        super().on_headers_complete()
