"""There is no way to rows but on behalf of their owner."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from itertools import combinations
from typing import Any
from uuid import uuid4
from weakref import ref

import pytest
from fastcrud import AccessDenied, FastCRUD
from sqlalchemy import func, select, text
from sqlmodel import SQLModel, col

from app.api.identity import current_owner
from app.kit.api.router import owned_crud_router
from app.kit.db.compiled import OWNER, CompiledStatement, OwnerMissingError
from app.kit.db.crud import OwnedCRUD
from app.kit.db.database import Database
from app.kit.db.statements import Statements
from app.models.task import Task, TaskCreate, TaskRead, TaskUpdate
from tests.support.owners import unowned
from tests.support.server import Server

TABLE = SQLModel.metadata.tables["task"]
OTHER = TABLE.alias()
TITLES = select(func.max(OTHER.c.title)).scalar_subquery()
CALLS: list[Callable[[OwnedCRUD[TaskRead]], Awaitable[Any]]] = [
    lambda crud: crud.create({"title": "x"}),
    lambda crud: crud.get(uuid4()),
    lambda crud: crud.get_page(sort="-created_at", limit=1, filters={}),
    lambda crud: crud.update(uuid4(), {"title": "x"}),
    lambda crud: crud.update(uuid4(), {}),
    lambda crud: crud.delete(uuid4()),
]


@pytest.mark.parametrize("call", CALLS)
def test_an_owned_crud_that_is_bound_to_nobody_does_nothing(
    call: Callable[[OwnedCRUD[TaskRead]], Awaitable[Any]], server: Server
) -> None:
    unbound = OwnedCRUD(Task, TaskRead)

    async def with_statements_built_before() -> None:
        pool = Database(
            server.app.state.settings.database_url, pool_size=1, timeout=5, prepared_statements=True
        )
        await call(unbound.bind(pool.owned_by("somebody")))
        try:
            await call(unbound)
        finally:
            await pool.close()

    with pytest.raises(AccessDenied):
        asyncio.run(call(unbound))  # type: ignore[arg-type]
    with pytest.raises(AccessDenied):
        asyncio.run(with_statements_built_before())


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
def test_a_row_is_never_given_to_another_owner(
    call: Callable[[OwnedCRUD[TaskRead]], Awaitable[Any]], server: Server
) -> None:
    pool = Database(
        server.app.state.settings.database_url, pool_size=1, timeout=5, prepared_statements=True
    )

    with pytest.raises(AccessDenied, match="owner_id"):
        asyncio.run(call(OwnedCRUD(Task, TaskRead).bind(pool.owned_by("me"))))  # type: ignore[arg-type]


def test_the_owner_is_that_of_the_connection_whatever_the_values_say(server: Server) -> None:
    async def create_and_look_for_it() -> tuple[TaskRead, TaskRead | None]:
        pool = Database(
            server.app.state.settings.database_url, pool_size=1, timeout=5, prepared_statements=True
        )
        mine = OwnedCRUD(Task, TaskRead).bind(pool.owned_by("me"))
        try:
            task = await mine.create({"title": "x", OWNER.key: "victim"})
            return task, await mine.get(task.id)
        finally:
            await pool.close()

    created, seen = asyncio.run(create_and_look_for_it())
    assert seen == created


@pytest.mark.parametrize(
    ("field", "call"),
    [
        (OTHER.c.title, lambda statements: statements.get(uuid4())),
        (TITLES, lambda statements: statements.get(uuid4())),
        (TITLES, lambda statements: statements.update(uuid4(), {"title": "x"}, None)),
        (TITLES, lambda statements: statements.delete(uuid4(), None)),
    ],
)
def test_no_field_of_a_model_is_that_of_another_row(
    field: Any, call: Callable[[Statements], Coroutine[Any, Any, Any]]
) -> None:
    async def select_mine(**_: Any) -> Any:
        return select(TABLE.c.id, field).where(TABLE.c.owner_id == OWNER)

    with pytest.raises(OwnerMissingError):
        asyncio.run(call(Statements(Task, select_mine)))


def test_clients_cannot_make_a_process_keep_statements_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.kit.db.statements._MOST_STATEMENTS", 3)
    mine: Any = FastCRUD(Task)
    statements = Statements(Task, partial(mine.select, TaskRead, owner_id=OWNER))

    async def update_in_every_way() -> list[ref[CompiledStatement]]:
        fields = {"title": "x", "description": "y", "completed": True}
        subsets = (c for n in range(1, 4) for c in combinations(fields.items(), n))
        queries = [await statements.update(uuid4(), dict(subset), None) for subset in subsets]
        assert len({query.statement.text for query in queries}) == 7
        return [ref(query.statement) for query in queries]

    built = asyncio.run(update_in_every_way())
    gc.collect()
    assert 0 < sum(statement() is not None for statement in built) <= 3


def test_a_router_needs_an_owner_dependency() -> None:
    with pytest.raises(TypeError, match="owner"):
        owned_crud_router(  # type: ignore[call-arg]
            model=Task,
            create_schema=TaskCreate,
            update_schema=TaskUpdate,
            read_schema=TaskRead,
            path="/tasks",
        )


def test_a_router_of_a_model_without_an_owner_is_refused() -> None:
    class Ownerless(SQLModel):
        id: int

    with pytest.raises(TypeError, match="Ownerless has no owner"):
        owned_crud_router(
            model=Ownerless,  # type: ignore[arg-type]
            create_schema=TaskCreate,
            update_schema=TaskUpdate,
            read_schema=TaskRead,
            owner=current_owner,
            path="/tasks",
        )


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
