"""The README's commands and snippets do what it says."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import sqlmodel
from fastapi import APIRouter
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import URL, func

from app.api import tasks
from app.api.identity import current_owner
from app.config import Settings
from app.kit.api.router import owned_crud_router
from app.models.task import Task
from tests.support import example
from tests.support.copies import copied, follow, newest_migration, run
from tests.support.database import connect
from tests.support.migrations import MakeDatabase, migrate, migrated
from tests.support.milestones import MILESTONES, reach
from tests.support.readme import block, blocks, files, section
from tests.support.repository import ROOT
from tests.support.server import Server, serve
from tests.support.tasks import TASKS, create

pytestmark = pytest.mark.plain


def shape(value: Any) -> Any:
    """A JSON value without what is new each time: ids, times and entity tags."""
    match value:
        case dict():
            return {key: shape(item) for key, item in value.items()}
        case list():
            return [shape(item) for item in value]
        case str():
            return re.sub(r'^([0-9a-f-]{36}|\d{4}-\d\d-\d\dT[\d:.]+Z|"[0-9a-f]+")$', "…", value)
    return value


def test_the_example_requests_answer_as_shown(server: Server, owner: str) -> None:
    examples = blocks("The API by example")
    task_id, shown = "", 0

    for (language, command), (following, answer) in zip(
        examples, [*examples[1:], ("", "")], strict=True
    ):
        if language != "bash":
            continue
        here = command.replace("http://127.0.0.1:8000", server.url).replace("alice", owner)
        output = subprocess.run(
            ["bash", "-c", here],
            env={**os.environ, "ID": task_id},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        if following == "json":
            assert shape(json.loads(output)) == shape(json.loads(answer)), command
            shown += 1
        if not task_id:
            task_id = json.loads(output)["id"]
    assert shown == 2


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what is in the repository, to change as the README says."""
    return copied(tmp_path)


@pytest.mark.skipif(example.IS_SERVED, reason="somebody has followed the README")
def test_a_field_and_a_resource_take_what_the_readme_says(
    copy: Path, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    migration = follow("Adding a field", copy)

    schemas = json.loads((copy / "openapi.json").read_text())["components"]["schemas"]
    assert "priority" in schemas["TaskCreate"]["properties"]
    assert "priority" in schemas["TaskRead"]["required"]
    assert "ck_task_priority_minimum_1" in migration

    migration = follow("Adding a resource", copy)

    document = json.loads((copy / "openapi.json").read_text())
    assert set(document["paths"]["/api/v1/milestones"]) == {"get", "post", "patch", "delete"}
    assert set(document["paths"]["/api/v1/milestones/{id}"]) == {"get", "patch", "delete"}
    assert 'op.create_table(\n        "milestone"' in migration
    assert "ix_milestone_owner_id_task_id_id" in migration  # what a deleted task takes with it
    # What the repository's own check has found out need not be found out again.
    cache = f"--cache-dir={ROOT}/.mypy_cache"
    run(copy, f"mypy {cache} {' '.join(files('Adding a resource'))}")

    # Another member, and a required field with a default while the old version runs.
    milestone, task = copy / "app/models/milestone.py", copy / "app/models/task.py"
    milestone.write_text(milestone.read_text().replace('"reached"', '"reached", "missed"'))
    task.write_text(f"{task.read_text()}    weight: int = Field(default=3, ge=1, le=5)\n")
    run(copy, "just migration 'more of both'")
    migration = newest_migration(copy)
    assert "status IN ('planned', 'reached', 'missed')" in migration
    assert "op.drop_constraint" in migration
    url = make_database()
    migrate(url.render_as_string(hide_password=False))
    for name in ("DATABASE_URL", "DATABASE_URL_UNPOOLED"):
        monkeypatch.setenv(name, url.render_as_string(hide_password=False))
    with serve(url) as old_version, old_version.client("alice") as alice:
        before = create(alice)
        run(copy, "alembic upgrade head && alembic check")
        meanwhile = create(alice)
        assert alice.get(TASKS).json()["items"] == [meanwhile, before]
    with connect(url) as connection:
        assert connection.execute("SELECT weight FROM task").fetchall() == [(3,), (3,)]


def test_the_role_of_the_api_changes_rows_and_no_tables(make_database: MakeDatabase) -> None:
    url = make_database()
    role = f"api_{uuid4().hex}"
    create_role, partition = block("Deploying on Neon", "sql"), block("Partitions", "sql")
    with connect(url) as owner:
        owner.execute(create_role.replace("todo_api", role))
        migrated(url)
        mine = url.set(username=role)
        try:
            with serve(mine) as server, server.client("alice") as client:
                task = client.post(TASKS, json={"title": "x"}).json()
                owner.execute(partition)
                for path in (TASKS, f"{TASKS}/{task['id']}"):
                    assert client.get(path).status_code == 200
                server.app.include_router(own_statements())
                other = client.post(TASKS, json={"title": "y"}).json()
                merged = client.post(f"/tasks/{task['id']}/merge-into/{other['id']}")
                assert merged.status_code == 204
                assert client.get(TASKS).json()["items"] == [other]
            with connect(mine) as api:
                assert api.execute("SHOW statement_timeout").fetchone() == ("10s",)
                for statement in (
                    "ALTER TABLE task ADD x int",
                    "DROP TABLE task",
                    "CREATE TABLE x ()",
                ):
                    with pytest.raises(InsufficientPrivilege):
                        api.execute(statement)
        finally:
            owner.execute(f"DROP OWNED BY {role}")
            owner.execute(f"DROP ROLE {role}")


def own_statements() -> APIRouter:
    """A router with the routes of "Your own statements"."""
    router = owned_crud_router(Task, owner=current_owner, path="/tasks")
    names = {**vars(tasks), **vars(example.MODEL), **vars(sqlmodel), "router": router}
    imported = {"date": date, "func": func, "update": sqlmodel.update, "UUID": UUID}
    exec(block("Your own statements", "python"), {**names, **imported})
    return router


@pytest.fixture
def with_own_statements(database: URL) -> Iterator[Server]:
    """A server of its own, as the document of the others has no room for more."""
    with serve(database) as server:
        server.app.include_router(own_statements())
        yield server


def test_your_own_statements_do_what_the_readme_says(
    with_own_statements: Server, owner: str, bob: httpx.Client
) -> None:
    alice = with_own_statements.client(owner)
    first, second = create(alice), create(alice)
    theirs = create(bob)
    milestone = reach(alice, task_id=first["id"])

    assert alice.get("/tasks/statistics/by-day").json() == {str(first["created_at"])[:10]: 2}
    merged = alice.post(f"/tasks/{first['id']}/merge-into/{second['id']}")
    assert merged.status_code == 204
    assert [task["id"] for task in alice.get(TASKS).json()["items"]] == [second["id"]]
    moved = alice.get(f"{MILESTONES}/{milestone['id']}").json()
    assert moved["task_id"] == second["id"]
    alice.close()
    assert bob.get(TASKS).json()["items"] == [theirs]


@pytest.mark.parametrize("route", block("Your own statements", "python").split("\n\n\n"))
def test_a_statement_of_your_own_takes_twelve_lines_at_most(route: str) -> None:
    assert len(route.splitlines()) <= 12


def test_a_new_field_is_one_line_and_a_new_resource_33() -> None:
    changed = re.findall(r"^[+-][^+-].*$", block("Adding a field", "diff"), re.MULTILINE)
    model, router = (len(text.splitlines()) for text in example.FILES.values())

    assert len(changed) == 1
    assert (model <= 25, router <= 8) == (True, True)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 400


def test_every_setting_is_described() -> None:
    described = set(re.findall(r"^\| `([A-Z_]+)`", section("Settings"), re.MULTILINE))
    assert described == {name.upper() for name in Settings.model_fields}
