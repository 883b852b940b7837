"""openapi.json, the same with the example resource, and whether a response keeps to it."""

import json
import re
from functools import cache
from typing import Any

import httpx
import jsonschema_rs

from app.config import Settings
from app.main import create_app
from tests.support import example
from tests.support.repository import ROOT

DOCUMENT: dict[str, Any] = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))

WITH_EXAMPLE = example.add_to(create_app(Settings.model_construct())).openapi()


def operations() -> dict[str, dict[str, Any]]:
    """All operations of the document, by operationId."""
    return {
        operation["operationId"]: operation
        for item in WITH_EXAMPLE["paths"].values()
        for operation in item.values()
    }


def operation_of(method: str, path: str) -> dict[str, Any] | None:
    """The operation that a request is for, if there is one in the document."""
    for template, item in WITH_EXAMPLE["paths"].items():
        pattern = re.sub(r"{\w+}", "[^/]+", template)
        if re.fullmatch(pattern, path):
            operation: dict[str, Any] | None = item.get(method.lower())
            return operation
    return None


def check(response: httpx.Response) -> None:
    """Fail on a status, a header, a media type or a body that the document does not have."""
    operation = operation_of(response.request.method, response.request.url.path)
    if operation is None:
        return
    status = str(response.status_code)
    name = f"{operation['operationId']} {status}"
    assert status in operation["responses"], f"{name} is not documented"
    described = operation["responses"][status]
    for header, definition in described.get("headers", {}).items():
        if header not in response.headers and definition.get("required") is False:
            continue
        schema = definition["schema"]
        value: Any = response.headers[header]
        _validator(json.dumps(schema)).validate(
            int(value) if schema["type"] == "integer" else value
        )
    body = response.read()
    if "content" not in described:
        assert body == b"", f"{name} has a body"
        return
    ((media_type, content),) = described["content"].items()
    assert response.headers["content-type"] == media_type, name
    _validator(json.dumps(content["schema"])).validate(json.loads(body))


@cache
def _validator(schema: str) -> jsonschema_rs.Validator:
    components = {"components": WITH_EXAMPLE["components"]}
    return jsonschema_rs.validator_for({**json.loads(schema), **components}, validate_formats=True)
