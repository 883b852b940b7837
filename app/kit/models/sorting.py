"""What rows are sorted by. Null counts as the largest value."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, literal_column

from app.kit.models.declarations import StrictType

MOST_SORTED_BY = 3


class SortedBy(NamedTuple):
    """A field that a list is sorted by, and in which direction."""

    field: str
    descending: bool

    @property
    def reverse(self) -> "SortedBy":
        """The same in the other direction."""
        return SortedBy(self.field, not self.descending)

    def __str__(self) -> str:
        return f"{'-' * self.descending}{self.field}"


Sort = tuple[SortedBy, ...]
"""What a list is sorted by; rows with the same values are sorted by their ids."""


def parse_sort(fields: str | Iterable[str]) -> Sort:
    """Return what ``priority,-due``, or a tuple of such fields, stands for.

    What cannot change the order is left out: a field that is named again, and all that follows
    ``created_at``, the order of the ids.
    """
    return _parsed(fields if isinstance(fields, str) else ",".join(fields))


@lru_cache(maxsize=1024)  # each request for a page asks several times
def _parsed(fields: str) -> Sort:
    found: dict[str, SortedBy] = {}
    for name in fields.split(","):
        if "created_at" not in found:
            field = name.removeprefix("-")
            found.setdefault(field, SortedBy(field, name.startswith("-")))
    return tuple(found.values())


def reverse_sort(sort: Sort) -> Sort:
    """Return the opposite order."""
    return tuple(by.reverse for by in sort)


def sort_columns(sort: Sort) -> Sort:
    """Return the columns that rows are sorted by, the id as the last one."""
    *others, last = sort
    # The order of creation is the order of the primary key.
    return (*(sort if last.field != "created_at" else others), SortedBy("id", last.descending))


def sort_key(value: ColumnElement[Any], type_: StrictType) -> ColumnElement[Any]:
    """Return what a column is sorted by, or what a value for it is compared as.

    Nulls are replaced, so that one index serves both orders and every page. What replaces them is
    in the text of the statement, and reads the same in any time zone: or else PostgreSQL would not
    find the index, and Alembic would see another one.
    """
    ordering = type_.kind.ordering
    if ordering is None:
        return value
    key = ordering.key(value)
    return func.coalesce(key, literal_column(ordering.largest)) if type_.is_nullable else key
