"""A break of the published contract is seen before it is published."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.openapi.breaking import OASDIFF, breaking_changes
from tests.clients.openapi.lint import HERE
from tests.support.document import DOCUMENT
from tests.support.node import install

Change = Callable[[dict[str, Any]], object]


def schema(document: dict[str, Any], name: str) -> dict[str, Any]:
    """A named schema of a document."""
    found: dict[str, Any] = document["components"]["schemas"][name]
    return found


@pytest.mark.timeout(600)  # the first run installs npm packages
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda d: d["paths"].pop("/api/v1/tasks/{id}/toggle"), "path-removed"),
        (lambda d: d["paths"]["/api/v1/tasks"].pop("get"), "api-removed"),
        (lambda d: schema(d, "TaskCreate")["required"].append("completed"), "became-required"),
        (
            lambda d: schema(d, "TaskCreate")["properties"]["title"].update(maxLength=100),
            "max-length-decreased",
        ),
        (
            lambda d: (
                schema(d, "TaskRead")["properties"].pop("description"),
                schema(d, "TaskRead")["required"].remove("description"),
            ),
            "response-required-property-removed",
        ),
        (lambda d: schema(d, "TaskRead").update(description="Better described."), ""),
    ],
    ids=["path", "operation", "required field", "bound", "response field", "words"],
)
def test_a_change_that_breaks_clients_is_named(change: Change, named: str, tmp_path: Path) -> None:
    install(HERE)
    if not OASDIFF.exists():
        pytest.skip("oasdiff comes for Linux on x86-64 only")
    changed = copy.deepcopy(DOCUMENT)
    change(changed)
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(json.dumps(DOCUMENT))
    new.write_text(json.dumps(changed))

    changes = breaking_changes(old, new)

    assert named in changes
    assert bool(changes) == bool(named)
