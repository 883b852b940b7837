"""The statements of an owned table, and the values of their parameters."""

import json
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from fastcrud import AccessDenied
from psycopg.types.json import Jsonb
from pydantic import BaseModel
from sqlalchemy import (
    ARRAY,
    BindParameter,
    ClauseElement,
    ClauseList,
    ColumnElement,
    Delete,
    Insert,
    Select,
    Table,
    TypeClause,
    Update,
    UpdateBase,
    any_,
    bindparam,
    column,
    delete,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.orm import QueryableAttribute
from sqlalchemy.sql import visitors
from sqlalchemy.sql.dml import ReturningDelete, ReturningUpdate
from sqlalchemy.sql.elements import NamedColumn
from sqlalchemy.sql.operators import custom_op
from sqlmodel.sql.sqltypes import UTCDateTime

from app.kit.db.compiled import OWNER, CompiledStatement
from app.kit.db.errors import OwnerMissingError
from app.kit.db.selects import (
    KEY,
    PageShape,
    Position,
    Selection,
    SelectionShape,
    Selects,
    page_values,
)
from app.kit.models.literals import text_in_sql
from app.kit.models.owned import Owned, table_of
from app.kit.models.sorting import Sort
from app.kit.models.time import later_version

Versions = Collection[datetime]
"""Versions of a row: the times of its last change."""

# No field can have these names.
THERE = "is there"
"""The column that tells a version conflict from a missing row."""
COUNT = "count written"
"""The column with the number of rows that were changed or deleted."""

_READ_ONLY = frozenset({"owner_id", "id", "created_at", "updated_at"})
_MOST_STATEMENTS = 1000
"""Clients choose which fields they send, and so how many statements there are."""
_SQL = (ClauseElement, QueryableAttribute)
# SQLAlchemy reserves column names as parameter names, hence the prefix.
_ROWS: BindParameter[Jsonb] = bindparam("bound_rows")
_VERSIONS = bindparam("bound_versions", type_=ARRAY(UTCDateTime))
_OF_A_ROW = (ColumnElement, ClauseList, TypeClause)


class Query(NamedTuple):
    """A statement, and the values of its parameters but for the owner."""

    statement: CompiledStatement
    values: dict[str, Any]


class _UpdateShape(NamedTuple):
    """All that changes the SQL of an update."""

    given: tuple[str, ...]
    computed: tuple[tuple[str, Any], ...]
    rows: SelectionShape | None
    conditional: bool


class _DeleteShape(NamedTuple):
    """All that changes the SQL of a delete."""

    rows: SelectionShape | None
    conditional: bool


class _ExistingShape(NamedTuple):
    """All that changes the SQL of a look for values."""

    table: str
    fields: tuple[str, ...]


class Statements:
    """What is sent for each operation. Each shape is built once, and serves every owner.

    Args:
        model: the table.
        read_schema: the fields that rows are read with.
    """

    def __init__(self, model: type[Owned], read_schema: type[BaseModel]) -> None:
        self._model = model
        self._table = table_of(model)
        self._selects = Selects(model, read_schema)
        self._kept: dict[Hashable, CompiledStatement] = {}
        self._get = CompiledStatement(self._selects.one)
        self._create = CompiledStatement(self._insert_one())
        self._create_many = CompiledStatement(self._insert_many())

    def create(self, row: Mapping[str, Any]) -> Query:
        """Insert a row, with a value for each field, and return it."""
        return Query(self._create, _bound_values(row))

    def get(self, id_: UUID) -> Query:
        """Return a row."""
        return Query(self._get, {KEY.key: id_})

    def create_many(self, rows: Sequence[Mapping[str, Any]]) -> Query:
        """Insert rows, each with a value for each field, and return them in any order."""
        return Query(self._create_many, {_ROWS.key: Jsonb(rows, _as_json)})

    def existing(self, table: Table, fields: Mapping[str, Sequence[Any]]) -> Query:
        """Return the values of rows of any owned table that has one of these for each field."""
        shape = _ExistingShape(table.name, tuple(fields))
        statement = self._statement(shape, lambda _: self._select_existing(table, fields))
        return Query(statement, _bound_values(fields))

    def get_page(
        self, selection: Selection, *, sort: Sort, limit: int, after: Position | None, total: bool
    ) -> Query:
        """Return rows of a sorted list. `OwnedCRUD.get_page` has the arguments."""
        shape = PageShape(selection.shape, sort, after is not None, total)
        values = page_values(selection, sort, limit, after)
        return Query(self._statement(shape, self._selects.page), values)

    def update(self, id_: UUID, changes: Mapping[str, Any], versions: Versions | None) -> Query:
        """Change a row, and return it.

        Raises:
            AccessDenied: a field is not for its owner to change.
            TypeError: a field is not there, or an expression reads more than the row.
        """
        query = self._update(changes, None, conditional=versions is not None)
        return Query(query.statement, {**query.values, KEY.key: id_, _VERSIONS.key: versions})

    def update_many(self, selection: Selection, changes: Mapping[str, Any]) -> Query:
        """Change all rows of a selection, and return how many. It raises what `update` does."""
        query = self._update(changes, selection.shape, conditional=False)
        return Query(query.statement, query.values | selection.values)

    def delete(self, id_: UUID, versions: Versions | None) -> Query:
        """Delete a row, and return what it was."""
        shape = _DeleteShape(None, versions is not None)
        values = {KEY.key: id_, _VERSIONS.key: versions}
        return Query(self._statement(shape, self._build_delete), values)

    def delete_many(self, selection: Selection) -> Query:
        """Delete all rows of a selection, and return how many."""
        shape = _DeleteShape(selection.shape, conditional=False)
        return Query(self._statement(shape, self._build_delete), selection.values)

    def _update(
        self, changes: Mapping[str, Any], rows: SelectionShape | None, *, conditional: bool
    ) -> Query:
        computed = {k: v for k, v in changes.items() if isinstance(v, _SQL)}
        given = {k: v for k, v in changes.items() if k not in computed}
        shape = _UpdateShape(tuple(given), tuple(computed.items()), rows, conditional)
        return Query(self._statement(shape, self._build_update), _bound_values(given))

    def _statement(
        self, shape: Hashable, build: Callable[[Any], Select[Any] | UpdateBase]
    ) -> CompiledStatement:
        statement = self._kept.get(shape)
        if statement is None:
            if len(self._kept) == _MOST_STATEMENTS:
                self._kept.clear()
            statement = self._kept[shape] = CompiledStatement(build(shape))
        return statement

    def _insert_one(self) -> Insert:
        columns = (c for c in self._table.columns if c.name != "owner_id")
        values = {c: bindparam(_bound(c.name), type_=c.type) for c in columns}
        new = insert(self._table).values(values).values(owner_id=OWNER)
        return new.returning(*self._selects.one.selected_columns)

    def _insert_many(self) -> Insert:
        columns = [c for c in self._table.columns if c.name != "owner_id"]
        rows = (
            func.jsonb_to_recordset(_ROWS)
            .table_valued(*(column(c.name, c.type) for c in columns))
            .render_derived(name="rows", with_types=True)
        )
        new = insert(self._table).from_select(
            ["owner_id", *(c.name for c in columns)], select(OWNER, *rows.c)
        )
        return new.returning(*self._selects.one.selected_columns)

    def _select_existing(self, table: Table, fields: Iterable[str]) -> Select[Any]:
        columns = [table.c[name] for name in fields]
        among = (c == any_(bindparam(_bound(c.name), type_=ARRAY(c.type))) for c in columns)
        return select(*columns).where(table.c.owner_id == OWNER, *among)

    def _build_update(self, shape: _UpdateShape) -> Select[Any] | UpdateBase:
        computed = dict(shape.computed)
        self._refuse_unwritable({*shape.given, *computed})
        for expression in computed.values():
            self._refuse_other_rows(expression)
        write = (
            update(self._table)
            .values({field: bindparam(_bound(field)) for field in shape.given})
            .values(computed)
            .values(updated_at=later_version(self._table))
        )
        return self._written(write, shape)

    def _build_delete(self, shape: _DeleteShape) -> Select[Any] | UpdateBase:
        return self._written(delete(self._table), shape)

    def _written(
        self, write: Update | Delete, shape: _UpdateShape | _DeleteShape
    ) -> Select[Any] | UpdateBase:
        """Write one row and return it, or all of a selection and return how many."""
        if shape.rows is None:
            one = write.where(_condition(self._selects.one))
            returned = one.returning(*self._selects.one.selected_columns)
            return self._if_current(returned) if shape.conditional else returned
        id_ = self._table.c.id
        # Two writes that lock the same rows in the same order take turns; else they deadlock.
        found = self._selects.found(shape.rows).with_only_columns(id_).order_by(id_)
        rows = found.with_for_update(key_share=isinstance(write, Update)).cte("rows_in_order")
        many = write.where(self._table.c.owner_id == OWNER, id_.in_(select(rows.c.id)))
        written = many.returning(id_).cte("written")
        return select(func.count().label(COUNT)).select_from(written)

    def _if_current(self, write: ReturningUpdate[Any] | ReturningDelete[Any]) -> Select[Any]:
        """Write if the version matches.

        The extra column tells a version conflict (412) from a missing row (404).
        """
        written = write.where(self._table.c.updated_at == any_(_VERSIONS)).cte("written")
        there = select(self._selects.one.exists().label(THERE)).subquery("there")
        return select(there, written).select_from(there.outerjoin(written, true()))

    def _refuse_unwritable(self, fields: set[Any]) -> None:
        if read_only := _READ_ONLY & fields:
            raise AccessDenied("update", self._model, columns=sorted(read_only), reason="columns")
        if unknown := fields.difference(self._table.columns.keys()):
            raise TypeError(f"{self._table.name} has no fields {unknown}")

    def _refuse_other_rows(self, expression: Any) -> None:  # noqa: ANN401 - SQL of any kind
        """Refuse an expression that reads more than the row: a query, text, another table.

        It guards against mistakes. A function that runs SQL in a value is not recognized.
        """
        clause = (
            expression.__clause_element__()
            if hasattr(expression, "__clause_element__")
            else expression
        )
        for part in visitors.iterate(clause):
            of_another = (
                isinstance(part, NamedColumn) and getattr(part, "table", None) != self._table
            )
            operators = {type(getattr(part, name, None)) for name in ("operator", "modifier")}
            if of_another or custom_op in operators or not isinstance(part, _OF_A_ROW):
                raise OwnerMissingError(
                    f"{self._table.name}: an expression of an update reads nothing but the row."
                    " Use a transaction for other statements"
                )


def _as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(rows, default=text_in_sql, ensure_ascii=False)


def _condition(rows: Select[Any]) -> ColumnElement[bool]:
    """Return the condition of a query, which has the owner in it."""
    if rows.whereclause is None:
        raise OwnerMissingError(rows)
    return rows.whereclause


def _bound(field: str) -> str:
    """The name of the parameter with a value of a field."""
    return f"bound_value_{field}"


def _bound_values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {_bound(field): value for field, value in values.items()}
