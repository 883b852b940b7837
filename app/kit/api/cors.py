"""What pages of other origins may do."""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from app.kit.api.problems import problem

EXPOSED = ("Location", "ETag", "X-Request-ID", "Retry-After")
"""What a page of another origin may read, besides what it always may (Fetch, 2.2.2)."""


class CrossOriginRequests(CORSMiddleware):
    """Starlette's middleware, which refuses a preflight with a problem document."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Tell what the page may do, or answer 400."""
        response = super().preflight_response(request_headers)
        if response.status_code == HTTPStatus.OK:
            return response
        kept = {k: v for k, v in response.headers.items() if not k.startswith("content-")}
        return problem(400, f"{bytes(response.body).decode()}.", headers=kept)
