"""What migrations do besides Alembic's operations: they guard owned tables, or no longer.

Autogenerate writes that, as a plugin of Alembic.
"""

from collections.abc import Callable, Mapping
from typing import Any

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation, Operations
from alembic.operations.ops import ModifyTableOps
from alembic.runtime.plugins import Plugin
from alembic.util import PriorityDispatchResult
from sqlalchemy import Connection, MetaData, Table, text

from app.kit.db import guard
from app.kit.models.owned import is_owned

PLUGIN = "app.kit.guard"

_IS_GUARDED = """
    SELECT NOT relispartition AND relrowsecurity AND ARRAY(
        SELECT polname::text FROM pg_policy WHERE polrelid = pg_class.oid
    ) @> CAST(:policies AS text[]) FROM pg_class WHERE oid = to_regclass(quote_ident(:table))
"""


class _TableOperation(MigrateOperation):
    def __init__(self, table: str) -> None:
        self.table = table

    def to_diff_tuple(self) -> tuple[str, str]:
        """Return what ``alembic check`` shows."""
        return type(self).__name__, self.table


class GuardTable(_TableOperation):
    """Let row level security show the rows of an owner only, in guarded transactions."""

    def reverse(self) -> MigrateOperation:
        """Return the operation that undoes it."""
        return UnguardTable(self.table)


class UnguardTable(_TableOperation):
    """Undo `GuardTable`."""

    def reverse(self) -> MigrateOperation:
        """Return the operation that undoes it."""
        return GuardTable(self.table)


@Operations.implementation_for(GuardTable)
def _guard(operations: Operations, operation: GuardTable) -> None:
    for statement in guard.guard(operation.table):
        operations.execute(statement)


@Operations.implementation_for(UnguardTable)
def _unguard(operations: Operations, operation: UnguardTable) -> None:
    for statement in guard.unguard(operation.table):
        operations.execute(statement)


@renderers.dispatch_for(GuardTable)
@renderers.dispatch_for(UnguardTable)
def _render(context: AutogenContext, operation: GuardTable | UnguardTable) -> str:
    name = type(operation).__name__
    context.imports.add(f"from {__name__} import {name}")
    return f"op.invoke({name}({operation.table!r}))"


def _compare(
    context: AutogenContext,
    operations: ModifyTableOps,
    _schema: str | None,
    name: str,
    stored: Table | None,
    declared: Table | None,
) -> PriorityDispatchResult:
    assert context.connection is not None  # noqa: S101 - Alembic compares with a database
    is_guarded = stored is not None and _is_guarded(context.connection, name)
    if declared is not None and is_owned(declared) and not is_guarded:
        operations.ops.append(GuardTable(name))
    if declared is None and is_guarded:
        operations.ops.append(UnguardTable(name))
    return PriorityDispatchResult.CONTINUE


def _is_guarded(connection: Connection, table: str) -> bool:
    parameters: dict[str, Any] = {"policies": [*guard.POLICIES], "table": table}
    return bool(connection.scalar(text(_IS_GUARDED), parameters))


def our_tables(connection: Connection, metadata: MetaData) -> Callable[..., bool]:
    """Return an ``include_name`` of Alembic that leaves out tables which are not of a model.

    They are partitions, or belong to somebody else, as an extension. A table is still dropped
    once its model is gone: it is guarded.
    """

    def include(name: str, kind: str, _parents: Mapping[str, str]) -> bool:
        return kind != "table" or name in metadata.tables or _is_guarded(connection, name)

    return include


Plugin(PLUGIN).add_autogenerate_comparator(_compare, "table", "guard")
