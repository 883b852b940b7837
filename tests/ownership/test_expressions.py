"""What an update may compute reads nothing but the row: never another row, of whomever."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import (
    Integer,
    String,
    UnaryExpression,
    case,
    cast,
    column,
    delete,
    func,
    literal_column,
    select,
    table,
    text,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.orm import aliased
from sqlalchemy.sql.operators import custom_op
from sqlmodel import SQLModel, col

from app.kit.db.errors import DatabaseError, OutOfRangeError, OwnerMissingError
from app.models.task import Task
from tests.support.crud import run
from tests.support.server import Server
from tests.support.tasks import create

SAME_TITLE: Any = aliased(Task)
TABLE = SQLModel.metadata.tables["task"]
OTHER = TABLE.alias()
UPDATED = update(TABLE).values(title="").returning(TABLE.c.id).cte()
UNARY: Any = UnaryExpression(
    TABLE.c.title, modifier=custom_op("|| (SELECT max(title) FROM task)"), type_=String
)


@pytest.fixture
def mine(alice: httpx.Client, bob: httpx.Client) -> str:
    """The only task of alice. Bob has one with the same title, and another one."""
    create(bob, "same")
    create(bob, "theirs")
    return str(create(alice, "same")["id"])


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

    assert run(server, owner, lambda crud: crud.update(UUID(mine), changes)).description == "same"


@pytest.mark.parametrize("versions", [None, [datetime.now(UTC)]], ids=["any", "versions"])
@pytest.mark.parametrize("name", REFUSED_EXPRESSIONS)
def test_no_field_becomes_what_other_rows_say(
    server: Server, mine: str, owner: str, name: str, versions: Any
) -> None:
    changes = {"description": REFUSED_EXPRESSIONS[name]}

    with server.wire.recording() as sent, pytest.raises(OwnerMissingError):
        run(server, owner, lambda crud: crud.update(UUID(mine), changes, versions))
    assert sent.executions == 0


def test_a_value_that_does_not_fit_is_told_from_a_query_that_fails(
    server: Server, mine: str, owner: str
) -> None:
    def update(description: Any) -> None:
        changes = {"description": description}
        run(server, owner, lambda crud: crud.update(UUID(mine), changes))

    length = func.length(col(Task.title))
    with pytest.raises(OutOfRangeError, match="DataError"):
        update("\0")
    with pytest.raises(OutOfRangeError, match="NumericValueOutOfRange"):
        update(cast(cast(str(2**31), Integer), String))
    with pytest.raises(DatabaseError, match="DivisionByZero"):
        update(cast(length // (length - 4), String))


@pytest.mark.parametrize("key", [Task.owner_id, TABLE.c.description, 0, "nothing"])
def test_nothing_but_fields_can_be_changed(server: Server, mine: str, owner: str, key: Any) -> None:
    with server.wire.recording() as sent, pytest.raises(TypeError, match="has no fields"):
        run(server, owner, lambda crud: crud.update(UUID(mine), {key: "bob"}))
    assert sent.executions == 0
