"""How uvicorn reads requests: ``--http app.protocol:HttpProtocol``."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

WITHOUT_TRAILERS = "todo.without_trailers"
"""The ASGI extension of a server that never takes a trailer for a header."""


class HttpProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, without trailers: it would add those that come early to the headers.

    They must not be merged (RFC 9110, section 6.5.1): a gateway that removes a header, such as an
    identity that the client claims, need not look for it behind the body.
    """

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["extensions"] = {WITHOUT_TRAILERS: {}}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header, but no trailer."""
        if "method" not in self.scope:  # the end of the headers sets it
            super().on_header(name, value)
