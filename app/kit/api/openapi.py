"""The OpenAPI document: FastAPI's, with what it cannot say by itself."""

from typing import Any

from fastapi import FastAPI

from app.kit.api.problems import MEDIA_TYPE


class DescribedAPI(FastAPI):
    """A FastAPI that documents errors as problem documents, and schemas without noise."""

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
