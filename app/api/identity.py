"""Who is asking: the one seam that authentication replaces."""

import re

from fastapi.requests import HTTPConnection
from fastapi.security import APIKeyHeader
from starlette.exceptions import HTTPException

from app.kit.api.proxies import is_believed

_USER_ID = re.compile(r"[\x21-\x7e]{1,255}")


class TrustedHeader(APIKeyHeader):
    """A header that a trusted proxy sets.

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
        if not is_believed(request, name, request.app.state.settings.trusted_proxies):
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
