"""Who is asking: the one seam that authentication replaces."""

import re
from functools import lru_cache
from ipaddress import ip_address

import structlog
from fastapi.requests import HTTPConnection
from fastapi.security import APIKeyHeader
from starlette.exceptions import HTTPException

from app.config import Proxy
from app.kit.api.protocol import WITHOUT_TRAILERS

logger = structlog.get_logger()

_USER_ID = re.compile(r"[\x21-\x7e]{1,255}")
_HUNG_UP = "the peer has hung up"


class TrustedHeader(APIKeyHeader):
    """A header that is an assertion of whoever connects, and believed from trusted networks only.

    It is the security scheme and its check in one, because FastAPI spends as much time on a
    dependency of a dependency as the check takes.
    """

    async def __call__(self, request: HTTPConnection) -> str:
        """Return the id of the caller, whose rows the request is about.

        Raises:
            HTTPException: 401, if the header is missing, repeated, malformed or not to be believed.
        """
        name = self.model.name
        values = request.headers.getlist(name)
        if len(values) != 1 or not _USER_ID.fullmatch(values[0]):
            raise self._unauthorized(
                f"{name} must be sent once, with 1 to 255 visible ASCII characters."
            )
        if doubt := _doubt(request) or _doubt_of_trailers(request, name):
            if doubt != _HUNG_UP and not hasattr(request.app.state, "doubt"):
                request.app.state.doubt = doubt
                logger.warning("the caller is not believed", why=doubt)
            raise self._unauthorized(
                f"{name} is not believed from here: see TRUSTED_PROXIES and the log."
            )
        return values[0]

    def _unauthorized(self, detail: str) -> HTTPException:
        error = self.make_not_authenticated_error()
        error.detail = detail
        return error


current_owner = TrustedHeader(
    name="X-User-ID",
    scheme_name="UserId",
    description=(
        "The caller's opaque id, 1 to 255 visible ASCII characters, set by the gateway that"
        " stands in front of this API."
    ),
)


def _doubt(request: HTTPConnection) -> str:
    """Return why the peer is not believed; empty if it is."""
    proxies: tuple[Proxy, ...] = request.app.state.settings.trusted_proxies
    if request.client is None:
        # It came by a Unix socket if the server has no port (ASGI), else it has left meanwhile.
        if (request.scope.get("server") or (None, None))[1] is not None:
            return _HUNG_UP
        return "" if "unix" in proxies else "unix is not in TRUSTED_PROXIES"
    host, port = request.client
    if port == 0 or _is_forwarded(host, request.headers.getlist("X-Forwarded-For")):
        return "X-Forwarded-For has replaced the peer's address: serve with --no-proxy-headers"
    return "" if _is_trusted(host, proxies) else f"{host} is not in TRUSTED_PROXIES"


def _is_forwarded(host: str, lines: list[str]) -> bool:
    """Tell whether Uvicorn may have taken an address, and its port, from X-Forwarded-For.

    One that comes without a port gets port 0, which no socket has.
    """
    entries = (entry.strip().removeprefix("[") for line in lines for entry in line.split(","))
    return any(entry.startswith((f"{host}:", f"{host}]:")) for entry in entries)


def _doubt_of_trailers(request: HTTPConnection, name: str) -> str:
    """Return why a header may be a trailer, which whoever removes headers need not look at."""
    if WITHOUT_TRAILERS in (request.scope.get("extensions") or {}):
        return ""
    names = [sent for sent, _ in request.headers.raw]
    before = names[: names.index(name.lower().encode())]
    if b"transfer-encoding" not in before:  # no trailer comes before it
        return ""
    return "the header may be a trailer: serve with --http app.kit.api.protocol:HttpProtocol"


@lru_cache(maxsize=1024)
def _is_trusted(host: str, proxies: tuple[Proxy, ...]) -> bool:
    try:
        address = ip_address(host)
    except ValueError:  # not from a socket
        return False
    address = getattr(address, "ipv4_mapped", None) or address  # IPv4, on a socket for both
    return any(address in proxy for proxy in proxies if not isinstance(proxy, str))
