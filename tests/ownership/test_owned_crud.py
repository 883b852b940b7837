"""There is no way to rows but on behalf of their owner."""

import asyncio
import gc
from itertools import combinations
from typing import Any
from uuid import uuid4
from weakref import ref

import pytest
from fastcrud import AccessDenied
from sqlalchemy import select, text
from sqlmodel import SQLModel, col

from app.api.identity import current_owner
from app.kit.api.router import owned_crud_router
from app.kit.db.compiled import OWNER, CompiledStatement
from app.kit.db.crud import OwnedCRUD
from app.kit.db.errors import OwnerMissingError
from app.kit.db.statements import Statements
from app.kit.models import ReadSchema
from app.kit.models.schemas import schemas_of
from app.models.task import Task
from tests.support.crud import Call, run, unbound
from tests.support.owners import unowned
from tests.support.server import Server

CALLS: list[Call] = [
    lambda crud: crud.create({"title": "x"}),
    lambda crud: crud.get(uuid4()),
    lambda crud: crud.get_page(sort="-created_at", limit=1, filters={}),
    lambda crud: crud.update(uuid4(), {"title": "x"}),
    lambda crud: crud.update(uuid4(), {}),
    lambda crud: crud.delete(uuid4()),
    lambda crud: crud.create_many([{"title": "x"}]),
    lambda crud: crud.update_many({"title": "x"}),
    lambda crud: crud.update_many({}),
    lambda crud: crud.delete_many(),
]


@pytest.mark.parametrize("call", CALLS)
def test_an_owned_crud_that_is_bound_to_nobody_does_nothing(call: Call, server: Server) -> None:
    of_nobody = unbound()

    async def with_statements_built_before(bound: OwnedCRUD) -> None:
        assert bound.model is Task
        await call(bound)
        await call(of_nobody)

    with pytest.raises(AccessDenied):
        asyncio.run(call(of_nobody))  # type: ignore[arg-type]
    with pytest.raises(AccessDenied):
        run(server, "somebody", with_statements_built_before)


def test_nobody_opens_a_transaction() -> None:
    with pytest.raises(AccessDenied):
        unbound().transaction()


@pytest.mark.parametrize(
    "statement",
    [
        select(Task),
        select(Task).where(col(Task.owner_id) == "somebody"),
        text("SELECT * FROM task"),
        text("DELETE FROM task"),
    ],
)
def test_a_statement_that_does_not_bind_the_owner_cannot_be_made(statement: Any) -> None:
    with pytest.raises(OwnerMissingError):
        CompiledStatement(statement)


@pytest.mark.parametrize(
    "call",
    [
        lambda crud: crud.create({"title": "x", "owner_id": "victim"}),
        lambda crud: crud.update(uuid4(), {"owner_id": "victim"}),
    ],
)
def test_a_row_is_never_given_to_another_owner(call: Call, server: Server) -> None:
    with pytest.raises(AccessDenied, match="owner_id"):
        run(server, "me", call)


def test_the_owner_is_the_bound_one_whatever_the_values_say(server: Server) -> None:
    async def create_and_look_for_it(mine: OwnedCRUD) -> tuple[ReadSchema, ReadSchema | None]:
        task = await mine.create({"title": "x", OWNER.key: "victim"})
        return task, await mine.get(task.id)

    created, seen = run(server, "me", create_and_look_for_it)
    assert seen == created


def test_clients_cannot_make_a_process_keep_statements_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.kit.db.statements._MOST_STATEMENTS", 3)
    statements = Statements(Task, schemas_of(Task).read)

    def update_in_every_way() -> list[ref[CompiledStatement]]:
        fields = {"title": "x", "description": "y", "completed": True}
        subsets = (c for n in range(1, 4) for c in combinations(fields.items(), n))
        queries = [statements.update(uuid4(), dict(subset), None) for subset in subsets]
        assert len({query.statement.text for query in queries}) == 7
        return [ref(query.statement) for query in queries]

    built = update_in_every_way()
    gc.collect()
    assert 0 < sum(statement() is not None for statement in built) <= 3


def test_a_router_needs_an_owner_dependency() -> None:
    with pytest.raises(TypeError, match="owner"):
        owned_crud_router(Task, path="/tasks")  # type: ignore[call-arg]


def test_a_router_of_a_model_without_an_owner_is_refused() -> None:
    class Ownerless(SQLModel):
        id: int

    with pytest.raises(TypeError, match="Ownerless has no owner"):
        owned_crud_router(Ownerless, owner=current_owner, path="/tasks")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("statement", "is_unowned"),
    [
        ("SELECT task.id FROM task WHERE task.owner_id = $1::VARCHAR", False),
        ("INSERT INTO task (owner_id, title) VALUES ($1, $2) RETURNING id", False),
        ("SELECT 1", False),
        ("SELECT * FROM task", True),
        ("SELECT owner_id FROM task WHERE id = $1", True),
        ('UPDATE "task" SET title = $1 WHERE id = $2', True),
        ("DELETE FROM public.task WHERE id = $1", True),
        ("INSERT INTO task (title) VALUES ($1)", True),
        ("SELECT b.id FROM milestone AS b JOIN task ON true", True),
        ("SELECT task.id FROM milestone, task WHERE milestone.owner_id = $1", True),
        ("SELECT t2.id FROM task, task AS t2 WHERE task.owner_id = $1", True),
        ("UPDATE task SET title=$1 FROM task AS o WHERE o.owner_id = $2 AND task.id = $3", True),
        ("INSERT INTO task (owner_id, title) SELECT $1, title FROM task", True),
        (
            "INSERT INTO task (owner_id, title) SELECT $1::VARCHAR, x.title FROM json($2) AS x",
            False,
        ),
        ("INSERT INTO task (owner_id, title) SELECT x.owner_id, x.title FROM json($2) AS x", True),
        ("INSERT INTO task (title, owner_id) SELECT $1, x.owner_id FROM json($2) AS x", True),
        ("SELECT id FROM task WHERE owner_id = $1 OR true", True),
        ("DELETE FROM task WHERE id IN (SELECT id FROM task WHERE owner_id = $1)", True),
        ("TRUNCATE task", True),
        ("COPY task TO STDOUT", True),
        ("SELECT id FROM task WHERE (a = $2 OR b = $2) AND owner_id = $1::VARCHAR", False),
    ],
)
def test_the_suite_would_notice_a_statement_without_an_owner(
    statement: str, is_unowned: bool
) -> None:
    assert bool(unowned([statement])) == is_unowned
