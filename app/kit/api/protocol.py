"""How uvicorn reads requests: ``--http app.kit.api.protocol:HttpProtocol``."""

from asyncio import TimerHandle, Transport, get_running_loop
from typing import Any

from httptools import (
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
)
from starlette.exceptions import HTTPException
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

WITHOUT_TRAILERS = "todo.without_trailers"
"""The ASGI extension of a server that never takes a trailer for a header."""

REFUSAL = "todo.refusal"
"""The ASGI extension of a request that cannot be read: the status and the detail to answer.

It may appear while the application waits for the body.
"""

LARGEST_HEAD = 64 * 1024
"""Bytes of the request line and the headers."""

_SLICE = 16 * 1024
"""Bytes to parse at once. A head that does not end is refused within so many more."""

_LINGER = 5
"""Seconds to read on after a refusal: to close at once could lose it (RFC 9112, section 9.6)."""


class HttpProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, safe behind a gateway, and against slow and broken clients.

    It takes for headers only what is sent as headers. A gateway that removes a header, such as an
    identity that the client claims, need not look for it in a body or behind one. Uvicorn's own
    would add the trailers behind a body to the headers (RFC 9110, section 6.5.1, forbids that), and
    read the body as the next request if this one asks for an upgrade.

    A request that cannot be read goes to the application with its `REFUSAL`, so that the response
    is like any other. Uvicorn's own would answer in plain text, and before its turn.
    """

    patience: float = 20
    """Seconds in which a request must arrive, with its body."""

    _clock: TimerHandle
    _active: RequestResponseCycle | None = None
    _is_refused = False
    _since_body = 0
    """Bytes of a head, or of trailers, that have come so far."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Wait for the first request as long as for the next one."""
        super().connection_made(transport)
        self._clock = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being answered; uvicorn tells the one that came last."""
        self._clock.cancel()
        self._unset_keepalive_if_required()
        if self._active:
            self._active.disconnected = True
            self._active.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read requests, until one cannot be read."""
        if self._is_refused:
            return
        try:
            for start in range(0, len(data), _SLICE):
                self._feed(data[start : start + _SLICE])
        except HTTPException as refusal:
            self._refuse(refusal)
        except HttpParserError as error:
            cause = error.__context__  # what a callback has raised
            reason = "Invalid URL" if cause else str(error)
            unread = HTTPException(400, f"The request is not valid HTTP: {reason}.")
            self._refuse(cause if isinstance(cause, HTTPException) else unread)
            if isinstance(error, HttpParserInvalidMethodError):
                self.scope["method"] = ""

    def _feed(self, data: bytes) -> None:
        self._since_body += len(data)
        while data:
            try:
                self.parser.feed_data(data)
                break
            except HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                if "method" not in self.scope:
                    head = self._head_without_upgrade()
                    self.parser = HttpRequestParser(self)  # after an upgrade it may skip the rest
                    self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
                    self.parser.feed_data(head)
        if self.scope:
            self._limit(self._since_body)

    def _head_without_upgrade(self) -> bytes:
        """Return the head to be parsed again, as the parser skips the body of an upgrade.

        A server may ignore it (RFC 9110, section 7.8).
        """
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["extensions"] = {WITHOUT_TRAILERS: {}}
        self._since_body = 0
        self._unset_keepalive_if_required()
        self._clock.cancel()
        self._clock = self.loop.call_later(self.patience, self._expire)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header, but no trailer."""
        if "method" not in self.scope:  # the end of the headers sets it
            super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the head is to be parsed again."""
        is_upgrade = self.parser.should_upgrade()
        if is_upgrade and self.parser.get_method() != b"CONNECT":
            return
        self._limit(len(self.url) + sum(len(n) + len(v) + 4 for n, v in self.headers))
        self._check_head()
        self._unset_keepalive_if_required()
        super().on_headers_complete()
        if is_upgrade:
            self.cycle.keep_alive = False  # what follows CONNECT is no request

    def on_body(self, body: bytes) -> None:
        """Add to the body."""
        self._since_body = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request, unless its head is to be parsed again."""
        self._since_body = 0
        self._clock.cancel()
        if "method" in self.scope:
            super().on_message_complete()

    def _limit(self, size: int) -> None:
        if size > LARGEST_HEAD:
            raise HTTPException(431, f"The headers have more than {LARGEST_HEAD} bytes.")

    def _check_head(self) -> None:
        """Refuse what others may read in another way (RFC 9112, sections 3.2 and 6.1)."""
        names = [name for name, _ in self.headers]
        if names.count(b"host") != 1 and self.parser.get_http_version() != "1.0":
            raise HTTPException(400, "Host must be sent once.")
        lines = [value for name, value in self.headers if name == b"transfer-encoding"]
        *others, last = b",".join(lines).lower().split(b",")
        if others and last.strip() == b"chunked":  # the parser refuses what does not end in it
            raise HTTPException(501, "No Transfer-Encoding but chunked is supported.")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401
        self._active = cycle
        super()._start_asgi_task(cycle, app)

    def _expire(self) -> None:
        if self.flow.read_paused:  # the client may not send
            self._clock = self.loop.call_later(self.patience, self._expire)
        else:
            self._refuse(HTTPException(408, f"The request took more than {self.patience} s."))

    def _refuse(self, refusal: HTTPException) -> None:
        """Have the request answered in its turn, then close the connection."""
        self._is_refused = True
        self._clock.cancel()
        self.scope["extensions"][REFUSAL] = {
            "status": refusal.status_code,
            "detail": refusal.detail,
        }
        if self.cycle is None or self.cycle.scope is not self.scope:  # it has not begun
            self.url = b"/"
            super().on_headers_complete()
        if self.cycle.response_complete:
            self.transport.close()
        self.cycle.transport = _Lingering(self.transport)
        self.cycle.keep_alive = False
        self.cycle.message_event.set()


class _Lingering(Transport):
    """The transport of a last response."""

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._transport = transport

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._transport.write(data)

    def close(self) -> None:
        if self._transport.can_write_eof():
            self._transport.write_eof()
        get_running_loop().call_later(_LINGER, self._transport.close)
