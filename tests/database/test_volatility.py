"""A statement applies only IMMUTABLE functions and operators to columns, as Citus asks of it."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlmodel import Field, SQLModel

from app.kit.db.compiled import OWNER
from app.kit.db.selects import Position, Selection
from app.kit.db.statements import Query, Statements
from app.kit.models import BigInteger, Owned
from app.kit.models.schemas import schemas_of
from app.kit.models.sorting import parse_sort, reverse_sort
from tests.support.database import connect
from tests.support.migrations import MakeDatabase, migrated

pytestmark = pytest.mark.plain

NOW = datetime(2026, 11, 22, tzinfo=UTC)
VALUES: dict[str, Any] = {
    "flag": True, "small": 1, "big": 2**40, "size": 0.5, "name": "x", "day": NOW.date(),
    "at": NOW, "other": uuid4(), "kind": "a", "price": Decimal("1.5"), "clock": NOW.time(),
    "takes": timedelta(hours=1), "tags": ["x"], "details": {"a": 1},
}  # fmt: skip
FILTERS = [name for name in VALUES if name != "details"]
SORTED_BY = (
    "flag", "small", "big", "size", "name", "day", "at", "kind", "price", "clock", "takes",
)  # fmt: skip

MOST_FILTERS = 40
"""A function has at most a hundred parameters."""

# How PostgreSQL writes down what it calls: by the oid of a function, or of operators.
_CALL = re.compile(
    r"{\w+ (?::funcid (?P<functions>\d+)|(?:\S+ \S+ )?:opnos? (?:\(o )?(?P<operators>[\d ]+))"
)
_SORTS = re.compile(r":sortop (\d+)")
_VOLATILITY = """
    SELECT oid::regprocedure::text, provolatile::text FROM pg_proc
    WHERE oid = ANY(%(functions)s::oid[])
    UNION
    SELECT pg_operator.oid::regoperator::text, provolatile::text
    FROM pg_operator JOIN pg_proc ON pg_proc.oid = oprcode
    WHERE pg_operator.oid = ANY(%(operators)s::oid[])
"""


@pytest.fixture
def model() -> Iterator[type[Owned]]:
    """A model with a field of each kind, that has null and that has not."""

    class Anything(Owned, table=True):
        filterable: ClassVar[tuple[str, ...]] = (
            *FILTERS, *(f"{name}_or_null" for name in FILTERS)
        )  # fmt: skip
        searchable: ClassVar[tuple[str, ...]] = ("name", "name_or_null")
        sortable: ClassVar[tuple[str | tuple[str, ...], ...]] = (
            *Owned.sortable, *SORTED_BY, *(f"{name}_or_null" for name in SORTED_BY),
            ("small", "-day_or_null", "name_or_null"),
        )  # fmt: skip

        flag: bool
        small: int
        big: BigInteger
        size: float
        name: str = Field(max_length=9)
        day: date
        at: datetime
        other: UUID
        kind: Literal["a", "b"]
        price: Decimal = Field(max_digits=9, decimal_places=2)
        clock: time
        takes: timedelta
        tags: list[Annotated[str, Field(max_length=9)]] = Field(max_length=9)
        details: dict[str, Any]
        flag_or_null: bool | None = None
        small_or_null: int | None = None
        big_or_null: BigInteger | None = None
        size_or_null: float | None = None
        name_or_null: str | None = Field(default=None, max_length=9)
        day_or_null: date | None = None
        at_or_null: datetime | None = None
        other_or_null: UUID | None = None
        kind_or_null: Literal["a", "b"] | None = None
        price_or_null: Decimal | None = Field(default=None, max_digits=9, decimal_places=2)
        clock_or_null: time | None = None
        takes_or_null: timedelta | None = None
        tags_or_null: list[Annotated[str, Field(max_length=9)]] | None = Field(
            default=None, max_length=9
        )
        details_or_null: dict[str, Any] | None = None

    yield Anything
    SQLModel.metadata.remove(SQLModel.metadata.tables["anything"])


def queries(model: type[Owned]) -> Iterator[Query]:
    """What is sent for each operation, with all that it may have."""
    statements = Statements(model, schemas_of(model).read)
    fields = {**VALUES, **{f"{name}_or_null": value for name, value in VALUES.items()}}
    flipped = {"flag": ~SQLModel.metadata.tables["anything"].c.flag}
    stored = {**fields, "id": uuid4(), "created_at": NOW, "updated_at": NOW}
    yield statements.create(stored)
    yield statements.get(stored["id"])
    for versions in (None, [NOW]):
        yield statements.update(stored["id"], fields, versions)
        yield statements.update(stored["id"], flipped, versions)
        yield statements.delete(stored["id"], versions)
    yield statements.create_many([stored])
    yield statements.existing(SQLModel.metadata.tables["anything"], {"id": [stored["id"]]})
    every = [*filters_of(model, fields), ("created_at__gt", NOW)]
    for start in range(0, len(every), MOST_FILTERS):
        some = Selection(dict(every[start : start + MOST_FILTERS]), search="x")
        yield statements.update_many(some, {"small": 1})
        yield statements.delete_many(some)
    filters = Selection({"created_at__gt": NOW}, search="x")
    for names in model.sortable:
        ascending = parse_sort(names)
        for sort in (ascending, reverse_sort(ascending)):
            values = tuple([stored[by.field] for by in sort])
            after = Position(values, stored["id"])
            for total in (False, True):
                yield statements.get_page(filters, sort=sort, limit=1, after=after, total=total)


def filters_of(model: type[Owned], values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give the name and a value of each filter."""
    for field in model.filterable:
        yield f"{field}__is_not", None
        for operator in model.owned_fields[field].type.kind.operators:
            name = f"{field}__{operator}".removesuffix("__")
            yield name, [values[field]] if operator == "in" else values[field]


def applied_to_columns(connection: psycopg.Connection, query: Query) -> dict[str, str]:
    """Return the volatility of the functions and operators that a statement applies to columns."""
    values = query.statement.values({**query.values, OWNER.key: "alice"})
    connection.execute("DEALLOCATE ALL")
    connection.execute(query.statement.text, values, prepare=True)
    prepared = connection.execute(
        "SELECT statement, array_to_string(parameter_types, ', ') FROM pg_prepared_statements"
    ).fetchone()
    assert prepared is not None
    # PostgreSQL keeps what it has resolved the names in the body of a function to.
    statement, types = prepared
    connection.execute(
        f"CREATE FUNCTION pg_temp.body({types}) RETURNS void BEGIN ATOMIC {statement}; END"
    )
    (tree,) = connection.execute(
        "SELECT prosqlbody::text FROM pg_proc WHERE proname = 'body'"
    ).fetchone() or ("",)
    connection.execute("DROP FUNCTION pg_temp.body")
    assert "{COERCEVIAIO " not in tree
    calls = [call for call in _CALL.finditer(tree) if "{VAR " in node_at(tree, call.start())]
    oids = {
        kind: [oid for call in calls if call[kind] for oid in call[kind].split()]
        for kind in ("functions", "operators")
    }
    oids["operators"] += _SORTS.findall(tree)
    return dict(connection.execute(_VOLATILITY, oids).fetchall())


def node_at(tree: str, start: int) -> str:
    """Return the node of a tree that begins somewhere: ``{TYPE … {…} …}``."""
    depth = 0
    for brace in re.finditer("[{}]", tree[start:]):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return tree[start : start + brace.end()]
    raise ValueError("the tree has no end")


def test_a_statement_applies_only_immutable_functions_and_operators_to_columns(
    make_database: MakeDatabase, model: type[Owned]
) -> None:
    with connect(migrated(make_database())) as connection:
        applied: dict[str, str] = {}
        for query in queries(model):
            applied |= applied_to_columns(connection, query)

    assert {name: kind for name, kind in applied.items() if kind != "i"} == {}
    assert {"timezone(text,timestamp with time zone)", '"normalize"(text,text)'} <= applied.keys()
    assert {"=(uuid,uuid)", "<(date,date)", ">(bigint,bigint)"} <= applied.keys()
