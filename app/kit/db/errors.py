"""What may go wrong with a statement, in terms of rows. No message has a value of any row."""

import re
from collections.abc import Sequence

from psycopg import DataError, Error, InterfaceError, OperationalError
from psycopg.errors import (
    DatetimeFieldOverflow,
    ExclusionViolation,
    ForeignKeyViolation,
    NumericValueOutOfRange,
    ReadOnlySqlTransaction,
    RestrictViolation,
    StringDataRightTruncation,
    UndefinedColumn,
    UndefinedTable,
    UniqueViolation,
)
from sqlalchemy.schema import ColumnCollectionConstraint
from sqlmodel import SQLModel

from app.kit.models.schemas import ReadSchema


class OwnerMissingError(Exception):
    """A statement could reach rows of other owners: a bug, never a client's fault."""


class DatabaseUnavailableError(Exception):
    """PostgreSQL is out of reach, too slow, refuses the login, or lacks what the models need."""


class DatabaseError(Exception):
    """PostgreSQL refused a statement, which is a bug."""


class OutOfRangeError(Exception):
    """A value does not fit its column; nothing was changed."""


class VersionConflictError(Exception):
    """The row is in none of the versions that were asked for; nothing was changed."""


class IntegrityError(Exception):
    """PostgreSQL refused a key in a row; nothing was changed.

    Attributes:
        fields: those of the key, but for the owner.
        rows: the numbers of the rows, if there were several.
    """

    rows: Sequence[int] | None = None

    def __init__(self, fields: Sequence[str]) -> None:
        super().__init__(*fields)
        self.fields = fields


class DuplicateKeyError(IntegrityError):
    """A row with this key, or with another value that must be unique, is there already.

    Attributes:
        existing: the row that has the id, if the id was refused.
    """

    existing: ReadSchema | None = None


class ForeignKeyError(IntegrityError):
    """A row would refer to one of the same owner that is not there."""


class StillReferencedError(Exception):
    """The row cannot be deleted, because another one refers to it."""


def translated(error: Error) -> Exception:
    """Return an error of Psycopg in terms of rows."""
    match error:
        case (
            OperationalError()
            | InterfaceError()
            | ReadOnlySqlTransaction()
            | UndefinedTable()  # not migrated yet, or another search_path
            | UndefinedColumn()
        ):
            return DatabaseUnavailableError(_message(error))
        case UniqueViolation() | ExclusionViolation():
            return DuplicateKeyError(_key(error))
        case ForeignKeyViolation() | RestrictViolation():
            return ForeignKeyError(_key(error))
        case NumericValueOutOfRange() | StringDataRightTruncation() | DatetimeFieldOverflow():
            return OutOfRangeError(type(error).__name__)
        case DataError() if error.sqlstate is None:  # Psycopg has not sent it
            return OutOfRangeError(type(error).__name__)
        case _:
            return DatabaseError(_message(error))


def _key(error: Error) -> list[str]:
    """Return the fields of the key that PostgreSQL refused, but for the owner.

    In any language it says ``(owner_id, name)=(…, …)``, or nothing where a policy could hide the
    row. Then the name of the constraint tells, but for a partition, which has others.
    """
    key = re.search(r"\((.*?)\)=\(", error.diag.message_detail or "")
    fields = key[1].replace('"', "").split(", ") if key else _fields(error.diag.constraint_name)
    return [field for field in fields if field != "owner_id"]


def _fields(constraint: str | None) -> list[str]:
    keys = (key for table in SQLModel.metadata.tables.values() for key in table.constraints)
    named = (key for key in keys if isinstance(key, ColumnCollectionConstraint))
    return next((key.columns.keys() for key in named if key.name == constraint), [])


def _message(error: Error) -> str:
    """Return what PostgreSQL says, but for the details, which may have values."""
    return f"{type(error).__name__}: {error.diag.message_primary or str(error).splitlines()[0]}"
