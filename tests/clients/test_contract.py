"""The application keeps to its OpenAPI document."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.config import Settings
from app.main import create_app
from tests.clients.fuzz import fuzz
from tests.support import courses, document, example
from tests.support.repository import ROOT
from tests.support.server import Server

pytestmark = pytest.mark.plain


def test_schemathesis_finds_nothing(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    fuzz(server.url, seed=1, examples=20)

    count = sum(len(item) for item in document.DOCUMENT["paths"].values())
    assert f"Tested: {count}" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("name", "phases"),
    [
        (example.NAME, "examples,coverage,stateful"),
        (courses.NAME, "examples,fuzzing,stateful"),  # all values of so many fields take too long
    ],
)
def test_schemathesis_finds_nothing_in_a_new_resource(
    server: Server, name: str, phases: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    served = server.app.openapi()
    paths = {path: item for path, item in served["paths"].items() if name in path}
    paths["/api/v1/tasks"] = served["paths"]["/api/v1/tasks"]  # to refer to
    schema = tmp_path / "example.json"
    schema.write_text(json.dumps({**served, "paths": paths}))

    fuzz(server.url, seed=1, examples=5, schema=str(schema), phases=phases)

    assert "Tested: 12" in capfd.readouterr().out


def test_the_committed_document_is_the_one_that_is_served(nobody: httpx.Client) -> None:
    committed = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))
    served = nobody.get("/openapi.json").json()

    for path, item in committed["paths"].items():
        assert served["paths"][path] == item
    for name, schema in committed["components"]["schemas"].items():
        assert served["components"]["schemas"][name] == schema
    new = {path.split("/")[3] for path in served["paths"].keys() - committed["paths"].keys()}
    assert new <= {example.NAME, courses.NAME}


def test_the_document_does_not_depend_on_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DATABASE_URL": "postgresql://user:secret@db.example.com/todo",
        "LOG_LEVEL": "nonsense",
        "CORS_ORIGINS": "https://example.com",
    }.items():
        monkeypatch.setenv(name, value)

    subprocess.run(
        [sys.executable, "-m", "app.development.openapi", "--check"], cwd=ROOT, check=True
    )


def test_operations_have_the_names_of_the_contract() -> None:
    described = create_app(Settings.model_construct()).openapi()
    operations = [
        operation
        for item in described["paths"].values()
        for operation in item.values()
        if "tasks" in operation["tags"]
    ]

    assert {operation["operationId"] for operation in operations} == {
        "createTask",
        "listTasks",
        "getTask",
        "updateTask",
        "deleteTask",
        "toggleTask",
        "createTasks",
        "updateTasks",
        "deleteTasks",
    }
    assert all(operation["summary"] and operation["tags"] == ["tasks"] for operation in operations)
    assert set(described["components"]["schemas"]) >= {
        "InvalidPart",
        "ProblemDetails",
        "TaskCreate",
        "TaskPage",
        "TaskRead",
        "TaskUpdate",
    }


def test_read_schemas_promise_every_field_and_request_schemas_no_default() -> None:
    schemas = create_app(Settings.model_construct()).openapi()["components"]["schemas"]

    for name in ("TaskRead", "TaskPage"):
        assert schemas[name]["required"] == list(schemas[name]["properties"])
    for name in ("TaskCreate", "TaskUpdate"):
        assert schemas[name]["additionalProperties"] is False
        assert not any("default" in field for field in schemas[name]["properties"].values())


def test_the_docs_are_served(nobody: httpx.Client) -> None:
    assert "swagger" in nobody.get("/docs").text.lower()
