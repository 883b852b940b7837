"""What FastCRUD has besides the operations of this API reaches the rows of one owner, or none."""

import inspect
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastcrud import AccessDenied, FastCRUD, JoinConfig
from sqlalchemy import (
    Integer,
    MetaData,
    Select,
    String,
    UnaryExpression,
    case,
    cast,
    column,
    delete,
    extract,
    false,
    func,
    insert,
    literal_column,
    or_,
    quoted_name,
    select,
    table,
    text,
    true,
    union_all,
    update,
    values,
)
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import aliased, with_loader_criteria
from sqlalchemy.sql.operators import custom_op
from sqlmodel import SQLModel, col

from app.kit.db.compiled import OwnerMissingError
from app.kit.db.crud import OwnedCRUD
from app.kit.db.database import DatabaseError, UnfitValueError
from app.kit.db.session import OwnedSession
from app.models.task import Task, TaskRead
from tests.support.crud import Call, run
from tests.support.server import Server
from tests.support.tasks import create

SAME_TITLE: Any = aliased(Task)
TASK_ID: Any = col(Task.id)


def join(where: Any = None) -> list[JoinConfig]:
    """Each task with all tasks of the same title."""
    same = col(Task.title) == SAME_TITLE.title
    return [
        JoinConfig(model=Task, join_on=same, alias=SAME_TITLE, join_prefix="other_", where=where)
    ]


OVERRIDDEN = {"create", "get", "update", "delete"}
REFUSED = {"upsert", "upsert_multi", "db_delete"}
BUILDERS = {"select", "with_policy"}
READS: dict[str, Call] = {
    "count": lambda crud, db: crud.count(db),
    "exists": lambda crud, db: crud.exists(db, title="theirs"),
    "get_multi": lambda crud, db: crud.get_multi(db),
    "get_multi_by_cursor": lambda crud, db: crud.get_multi_by_cursor(db, sort_column="id"),
    "get_joined": lambda crud, db: crud.get_joined(db, joins_config=join(), title="same"),
    "get_multi_joined": lambda crud, db: crud.get_multi_joined(db, joins_config=join()),
}


def ids(found: Any) -> list[str]:
    """The ids of all tasks in a result of FastCRUD, joined ones included."""
    rows = found.get("data", [found])
    return [str(row[key]) for row in rows for key in ("id", "other_id") if key in row]


@pytest.fixture
def mine(alice: httpx.Client, bob: httpx.Client) -> str:
    """The only task of alice. Bob has one with the same title, and another one."""
    create(bob, "same")
    create(bob, "theirs")
    return str(create(alice, "same")["id"])


def test_each_public_method_of_fastcrud_is_known() -> None:
    public = {
        name for name, _ in inspect.getmembers(FastCRUD, inspect.isfunction) if name[0] != "_"
    }

    assert public == OVERRIDDEN | REFUSED | BUILDERS | READS.keys()
    assert vars(OwnedCRUD).keys() >= OVERRIDDEN | REFUSED


@pytest.mark.parametrize("name", sorted(READS.keys() - {"count", "exists"}))
def test_a_read_finds_the_rows_of_its_owner(
    server: Server, mine: str, owner: str, name: str
) -> None:
    assert set(ids(run(server, owner, READS[name]))) == {mine}


def test_a_count_counts_the_rows_of_its_owner(server: Server, mine: str, owner: str) -> None:
    def in_a_join(crud: OwnedCRUD[TaskRead], db: Any) -> Awaitable[int]:
        return crud.count(db, joins_config=join())

    assert mine
    assert run(server, owner, READS["count"]) == 1
    assert run(server, owner, in_a_join) == 1
    assert run(server, owner, READS["get_multi"])["total_count"] == 1


def test_what_others_have_does_not_exist(server: Server, mine: str, owner: str) -> None:
    assert mine
    assert run(server, owner, READS["exists"]) is False
    assert run(server, owner, lambda crud, db: crud.exists(db, title="same")) is True


def test_a_condition_does_not_widen_a_read(server: Server, mine: str, owner: str) -> None:
    def of_all(crud: OwnedCRUD[TaskRead], db: Any) -> Awaitable[Any]:
        return crud.get_multi_joined(db, joins_config=join(true()), where=or_(true(), false()))

    assert set(ids(run(server, owner, of_all))) == {mine}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_write_that_is_not_one_statement_is_refused(
    server: Server, owner: str, name: str
) -> None:
    with (
        server.wire.recording() as sent,
        pytest.raises(AccessDenied),
    ):
        run(server, owner, lambda crud, db: getattr(crud, name)(db, {"title": "x"}))
    assert sent.executions == 0


@pytest.mark.parametrize("name", READS)
def test_a_read_of_nobody_is_refused(server: Server, name: str) -> None:
    unbound = OwnedCRUD(Task, TaskRead)

    with pytest.raises(AccessDenied):
        _ = unbound.session
    with pytest.raises(AccessDenied):
        run(server, "somebody", lambda _, db: READS[name](unbound, db))


@pytest.mark.parametrize("name", READS)
def test_a_session_of_another_kind_does_not_get_around_the_owner(
    server: Server, owner: str, name: str
) -> None:
    async def read(crud: OwnedCRUD[TaskRead], _: Any) -> None:
        engine = create_async_engine(server.app.state.settings.database_url)
        try:
            async with AsyncSession(engine) as session:
                await READS[name](crud, session)
        finally:
            await engine.dispose()

    with pytest.raises(StatementError, match="bound_owner"):
        run(server, owner, read)


def _beyond_a_full_join() -> Select[Any]:
    titles = select(col(Task.title).label("title")).subquery()
    joined = titles.c.title == SAME_TITLE.title
    return select(SAME_TITLE.id).select_from(titles).join(SAME_TITLE, joined, full=True)


TABLE = SQLModel.metadata.tables["task"]
OTHER = TABLE.alias()
UNMAPPED = table("task", column("id"))
PARTITION = table("task_0", column("id"))
IN_ANOTHER_SCHEMA: Any = TABLE.to_metadata(MetaData(), schema="public")
UPDATED = update(TABLE).values(title="").returning(TABLE.c.id).cte()
INSERTED = insert(TABLE).values(owner_id="bob").returning(TABLE.c.id).cte()
A_VALUE = values(column("id", String), name="other").data([(select(INSERTED).scalar_subquery(),)])
TYPE = String("9)) || (VALUES ('1'")  # type: ignore[arg-type]
UNARY: Any = UnaryExpression(
    TABLE.c.title, modifier=custom_op("|| (SELECT max(title) FROM task)"), type_=String
)
QUERIES: dict[str, Select[Any]] = {
    "of a table": select(TASK_ID),
    "with an alias": select(SAME_TITLE.id),
    "in a subquery": select(select(TASK_ID).subquery()),
    "in an expression": select(select(func.max(TASK_ID.cast(String))).scalar_subquery()),
    "in a condition": select(TASK_ID).where(
        select(SAME_TITLE.id).where(SAME_TITLE.title == "same").exists()
    ),
    "joined": select(SAME_TITLE.id).join(Task, SAME_TITLE.title == col(Task.title)),
    "listed with another": select(TASK_ID).where(SAME_TITLE.title == col(Task.title)),
    "joined without an end": _beyond_a_full_join(),
    "past the model": select(TABLE.c.id),
    "past the model, joined": select(OTHER.c.id).select_from(Task).join(OTHER, true()),
    "past the model, in a subquery": select(select(OTHER.c.id).scalar_subquery()),
    "by its name": select(UNMAPPED.c.id),
    "of a common table expression": select(select(OTHER.c.id).cte().c.id),
    "with a pattern": select(TASK_ID).where(col(Task.title).contains("am")),
    "of a union": select(union_all(select(TASK_ID), select(OTHER.c.id)).subquery().c[0]).limit(1),
}
REFUSED_QUERIES: dict[str, Select[Any]] = {
    "with text": select(TASK_ID).where(text("TRUE OR TRUE")),
    "with literal SQL": select(TASK_ID, literal_column("(SELECT max(title) FROM task)")),
    "with literal SQL after a name": select(TASK_ID, literal_column("title, (SELECT 1) AS x")),
    "with an operator of its own": select(TASK_ID).where(col(Task.title).op("= '' OR 1 =")(1)),
    "with a modifier of its own": select(TASK_ID, UNARY),
    "with a type that is SQL": select(cast(TABLE.c.title, TYPE)),
    "with a suffix": select(TASK_ID).suffix_with("LIMIT 9"),
    "with a hint": select(TASK_ID).with_statement_hint("OR TRUE"),
    "with text to sort by": select(TASK_ID).order_by(text("(SELECT max(title) FROM task)")),
    "of a view": select(table("a_view", column("id")).c.id),
    "of a table of no model": select(PARTITION.c.id).join(Task, true()),
    "of nothing that is owned": select(func.now()),
    "that deletes": select(delete(TABLE).returning(TABLE.c.id).cte().c.id),
    "that updates": select(UPDATED.c.id),
    "that inserts": select(INSERTED.c.id),
    "that inserts, among values": select(TASK_ID, A_VALUE.c.id),
    "that inserts, in a criterion": select(Task).options(
        with_loader_criteria(Task, TASK_ID.in_(select(INSERTED.c.id)))
    ),
    "with a name that is SQL": select(TASK_ID, column(quoted_name("1) OR (SELECT 1", quote=False))),
    "with a unit of time that is SQL": select(extract("day FROM now()) + extract(day", TASK_ID)),
    "of a table of another schema": select(IN_ANOTHER_SCHEMA.c.id),
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_in_a_session_finds_no_others(
    server: Server, mine: str, owner: str, name: str
) -> None:
    async def all_rows(_: OwnedCRUD[TaskRead], db: OwnedSession) -> list[Any]:
        return [str(row[0]) for row in await db.execute(QUERIES[name])]

    assert run(server, owner, all_rows) == [mine]


@pytest.mark.parametrize("name", REFUSED_QUERIES)
def test_what_cannot_be_known_to_be_a_read_of_ones_own_is_not_sent(
    server: Server, owner: str, name: str
) -> None:
    with server.wire.recording() as sent, pytest.raises(OwnerMissingError):
        run(server, owner, lambda _, db: db.execute(REFUSED_QUERIES[name]))
    assert sent.executions == 0


EXPRESSIONS: dict[str, Any] = {
    "a field": Task.title,
    "a column": TABLE.c.title,
    "a function of a field": func.left(col(Task.title), 4),
    "a case": case((col(Task.completed), "done"), else_=col(Task.title)),
}
REFUSED_EXPRESSIONS: dict[str, Any] = {
    "of a query": select(func.max(OTHER.c.title)).scalar_subquery(),
    "of a union": union_all(select(OTHER.c.title), select(OTHER.c.title)).scalar_subquery(),
    "of what there is": select(OTHER.c.id).where(OTHER.c.title == "theirs").exists(),
    "of a query in a function": func.concat(select(func.max(OTHER.c.title)).scalar_subquery()),
    "of an update": select(UPDATED.c.id).scalar_subquery(),
    "with text": text("(SELECT max(title) FROM task)"),
    "with literal SQL": literal_column("(SELECT max(title) FROM task)"),
    "with a modifier of its own": UNARY,
    "with an operator of its own": col(Task.title).op("|| (SELECT max(title) FROM task) ||")(""),
    "of another row": OTHER.c.title,
    "of another row, in a function": func.concat(SAME_TITLE.title, "x"),
    "of a deleted row": delete(TABLE).returning(TABLE.c.title).cte().c.title,
    "of a row of a query": select(OTHER.c.title).cte().c.title,
    "of another table": table("pg_stat_activity", column("query")).c.query,
    "of a function that has rows": func.unnest(array(["x"])).column_valued("other"),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_field_may_become_what_the_row_says(
    server: Server, mine: str, owner: str, name: str
) -> None:
    changes = {"description": EXPRESSIONS[name]}

    assert (
        run(server, owner, lambda crud, _: crud.update(UUID(mine), changes)).description == "same"
    )


@pytest.mark.parametrize("versions", [None, [datetime.now(UTC)]], ids=["any", "versions"])
@pytest.mark.parametrize("name", REFUSED_EXPRESSIONS)
def test_no_field_becomes_what_other_rows_say(
    server: Server, mine: str, owner: str, name: str, versions: Any
) -> None:
    changes = {"description": REFUSED_EXPRESSIONS[name]}

    with server.wire.recording() as sent, pytest.raises(OwnerMissingError):
        run(server, owner, lambda crud, _: crud.update(UUID(mine), changes, versions))
    assert sent.executions == 0


def test_a_value_that_does_not_fit_is_told_from_a_query_that_fails(
    server: Server, mine: str, owner: str
) -> None:
    def update(description: Any) -> None:
        changes = {"description": description}
        run(server, owner, lambda crud, _: crud.update(UUID(mine), changes))

    length = func.length(col(Task.title))
    with pytest.raises(UnfitValueError, match="DataError"):
        update("\0")
    with pytest.raises(UnfitValueError, match="NumericValueOutOfRange"):
        update(cast(cast(str(2**31), Integer), String))
    with pytest.raises(DatabaseError, match="DivisionByZero"):
        update(cast(length // (length - 4), String))


@pytest.mark.parametrize("key", [Task.owner_id, TABLE.c.description, 0, "nothing"])
def test_nothing_but_fields_can_be_changed(server: Server, mine: str, owner: str, key: Any) -> None:
    with server.wire.recording() as sent, pytest.raises(TypeError, match="has no fields"):
        run(server, owner, lambda crud, _: crud.update(UUID(mine), {key: "bob"}))
    assert sent.executions == 0


@pytest.mark.parametrize(
    "statement",
    [
        text("SELECT * FROM task"),
        insert(Task),
        union_all(select(TASK_ID), select(TASK_ID)),
    ],
)
def test_a_session_runs_nothing_but_queries(server: Server, owner: str, statement: Any) -> None:
    with pytest.raises(OwnerMissingError):
        run(server, owner, lambda _, db: db.execute(statement))


def test_a_filter_of_fastcrud_may_be_a_pattern(server: Server, mine: str, owner: str) -> None:
    def count(title: str) -> int:
        return int(run(server, owner, lambda crud, db: crud.count(db, title__contains=title)))

    assert mine
    assert (count("am"), count("heir"), count("%")) == (1, 0, 1)


def test_a_query_that_finds_nothing_has_columns(server: Server, owner: str) -> None:
    async def titles(_: OwnedCRUD[TaskRead], db: OwnedSession) -> tuple[list[str], list[Any]]:
        found = await db.execute(select(TASK_ID, col(Task.title)))
        return list(found.keys()), list(found.columns(1))

    assert run(server, owner, titles) == (["id", "title"], [])


def test_columns_of_one_name_are_an_error_rather_than_one_column(
    server: Server, mine: str, owner: str
) -> None:
    same_name = select(TASK_ID.label("it"), col(Task.title).label("it"))

    assert mine
    with pytest.raises(ValueError, match="two columns have the same name: it, it"):
        run(server, owner, lambda _, db: db.execute(same_name))
