"""Who is asking: the one seam that authentication replaces."""

import re
from http import HTTPStatus
from ipaddress import ip_address
from typing import Annotated

from fastapi import HTTPException, Request, Security
from fastapi.security import APIKeyHeader

from app.config import Network

_SCHEME = APIKeyHeader(
    name="X-User-ID",
    scheme_name="UserId",
    description=(
        "The caller's opaque id, 1 to 255 visible ASCII characters, set by the gateway that"
        " stands in front of this API."
    ),
    auto_error=False,
)
_USER_ID = re.compile(r"[\x21-\x7e]{1,255}")


async def current_owner(request: Request, _header: Annotated[str | None, Security(_SCHEME)]) -> str:
    """Return the id of the caller, whose rows the request is about.

    The header is an assertion of whoever connects, so it is believed from trusted networks only.

    Raises:
        HTTPException: 401, if the header is missing, repeated, malformed or not to be believed.
    """
    values = request.headers.getlist(_SCHEME.model.name)
    if len(values) != 1 or not _USER_ID.fullmatch(values[0]):
        raise _unauthorized("X-User-ID must be sent once, with 1 to 255 visible ASCII characters.")
    if not _is_trusted(request, request.app.state.settings.trusted_proxies):
        raise _unauthorized("X-User-ID is not believed from this address: see TRUSTED_PROXIES.")
    return values[0]


def _is_trusted(request: Request, networks: tuple[Network, ...]) -> bool:
    if request.client is None:  # a Unix socket
        return False
    peer = ip_address(request.client.host)
    return any(peer in network for network in networks)


def _unauthorized(detail: str) -> HTTPException:
    return HTTPException(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": "APIKey"})
