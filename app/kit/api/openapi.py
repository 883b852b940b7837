"""The OpenAPI document: FastAPI's, with what it cannot say by itself; and a page that shows it."""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.staticfiles import StaticFiles

from app.kit.api.problems import MEDIA_TYPE

_FILES = StaticFiles(packages=[("fastapi_swagger", "resources")])


class DescribedAPI(FastAPI):
    """A FastAPI that documents errors as problem documents, and schemas without noise.

    With ``openapi_url`` it has a page, ``/docs``, which loads nothing from elsewhere.
    """

    def setup(self) -> None:
        """Add the routes of the document and of the page."""
        self.docs_url = None  # FastAPI's page loads its files from the internet
        super().setup()
        if self.openapi_url:
            self.add_route("/docs", self._page, include_in_schema=False)
            self.add_route("/docs/{file}", _file, include_in_schema=False)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, in the order of the routes."""
        if self.openapi_schema is not None:
            return self.openapi_schema
        document = super().openapi()
        for path in document["paths"].values():
            for operation in path.values():
                _document_errors_as_problems(operation["responses"])
                for name in operation.get("security", [{}])[0]:
                    scheme = document["components"]["securitySchemes"][name]
                    header = operation["responses"]["401"]["headers"]["WWW-Authenticate"]
                    header["schema"] = {"type": "string", "const": _challenge(scheme)}
                for parameter in operation.get("parameters", []):
                    parameter["schema"].pop("title", None)
        for schema in document["components"]["schemas"].values():
            _drop_titles(schema)
        return document

    async def _page(self, _request: Request) -> Response:
        return get_swagger_ui_html(  # with relative URLs, which hold behind any prefix
            openapi_url="openapi.json",
            title=f"{self.title} - Swagger UI",
            swagger_js_url="docs/swagger-ui-bundle.js",
            swagger_css_url="docs/swagger-ui.css",
            swagger_favicon_url="docs/favicon-32x32.png",
        )


async def _file(request: Request) -> Response:
    return await _FILES.get_response(request.path_params["file"], request.scope)


def _document_errors_as_problems(responses: dict[str, Any]) -> None:
    for status, response in responses.items():
        if status >= "400":
            response["content"] = {MEDIA_TYPE: response["content"]["application/json"]}


def _drop_titles(schema: dict[str, Any]) -> None:
    """Drop the titles that Pydantic makes of the names."""
    schema.pop("title", None)
    for definition in schema.get("properties", {}).values():
        definition.pop("title", None)


def _challenge(scheme: dict[str, Any]) -> str:
    """Return what FastAPI's security schemes say in ``WWW-Authenticate``."""
    if scheme["type"] == "apiKey":
        return "APIKey"
    return str(scheme.get("scheme", "Bearer")).title()
