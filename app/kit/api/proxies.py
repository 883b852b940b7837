"""Whether to believe a header that a proxy asserts, such as the identity of the caller."""

from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Annotated, Literal

import structlog
from pydantic import BeforeValidator
from starlette.requests import HTTPConnection

from app.kit.api.protocol import WITHOUT_TRAILERS

Proxy = IPv4Network | IPv6Network | Literal["unix"]
"""A network whose headers are believed; ``unix`` is everybody who connects by a Unix socket."""


def _proxy(value: str) -> Proxy | str:
    if value == "unix":
        return value
    try:
        return ip_network(value)
    except ValueError as error:
        raise ValueError(f"is not a list of networks, such as 10.0.0.0/8: {error}") from None


TrustedProxy = Annotated[Proxy, BeforeValidator(_proxy)]

logger = structlog.get_logger()

_HUNG_UP = "the peer has hung up"


def is_believed(request: HTTPConnection, header: str, proxies: tuple[Proxy, ...]) -> bool:
    """Tell whether a header of a request comes from a trusted proxy.

    The first time that it does not, the log says why.

    Args:
        request: it has the header once.
        header: the header's name.
        proxies: the networks that are trusted.
    """
    reason = _distrust_reason(request, proxies) or _trailer_reason(request, header)
    if reason and reason != _HUNG_UP and not hasattr(request.app.state, "distrust_reason"):
        request.app.state.distrust_reason = reason
        logger.warning("the caller is not believed", why=reason)
    return not reason


def _distrust_reason(request: HTTPConnection, proxies: tuple[Proxy, ...]) -> str:
    """Return why the peer is not believed; empty if it is."""
    client = request.scope.get("client")
    if client is None:
        # It came by a Unix socket if the server has no port (ASGI), else it has left meanwhile.
        if (request.scope.get("server") or (None, None))[1] is not None:
            return _HUNG_UP
        return "" if "unix" in proxies else "unix is not in TRUSTED_PROXIES"
    host, port = client
    forwarded = request.headers.getlist("X-Forwarded-For")
    if port == 0 or (forwarded and _is_forwarded(host, forwarded)):
        return "X-Forwarded-For has replaced the peer's address: serve with --no-proxy-headers"
    return "" if _is_trusted(host, proxies) else f"{host} is not in TRUSTED_PROXIES"


def _is_forwarded(host: str, lines: list[str]) -> bool:
    """Tell whether Uvicorn may have taken an address, and its port, from X-Forwarded-For.

    One that comes without a port gets port 0, which no socket has.
    """
    entries = (entry.strip().removeprefix("[") for line in lines for entry in line.split(","))
    return any(entry.startswith((f"{host}:", f"{host}]:")) for entry in entries)


def _trailer_reason(request: HTTPConnection, name: str) -> str:
    """Return why a header might be a trailer; empty if it is none.

    Proxies that strip headers do not inspect trailers.
    """
    if WITHOUT_TRAILERS in (request.scope.get("extensions") or {}):
        return ""
    names = [sent for sent, _ in request.headers.raw]
    before = names[: names.index(name.lower().encode())]
    if b"transfer-encoding" not in before:  # no trailer comes before it
        return ""
    return "the header may be a trailer: serve with --http app.kit.api.protocol:HttpProtocol"


def _is_trusted(host: str, proxies: tuple[Proxy, ...]) -> bool:
    address = _address(host)
    return address is not None and any(
        address in proxy for proxy in proxies if not isinstance(proxy, str)
    )


@lru_cache(maxsize=1024)
def _address(host: str) -> IPv4Address | IPv6Address | None:
    """Return an address, or None if it is not that of a socket."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address  # IPv4, on a socket for both
