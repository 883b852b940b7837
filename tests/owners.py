"""What it means that no statement reaches an owned table without its owner."""

import re
from collections.abc import Iterable

from sqlmodel import SQLModel

_TOUCHES = re.compile(
    r"\b(?:FROM|JOIN|UPDATE|INTO|USING)\s+(?:ONLY\s+)?\"?(?:\w+\"?\.\"?)?(\w+)\"?", re.IGNORECASE
)
_OF_ONE_OWNER = re.compile(r"owner_id = \$\d+")
_FOR_ONE_OWNER = re.compile(r"INSERT INTO \w+ \([^)]*\bowner_id\b")


def owned_tables() -> set[str]:
    """The names of all tables that have an owner."""
    return {name for name, table in SQLModel.metadata.tables.items() if "owner_id" in table.c}


def unowned(statements: Iterable[str]) -> list[str]:
    """Return the statements that touch an owned table without naming its owner."""
    tables = owned_tables()
    return [
        statement
        for statement in statements
        if not tables.isdisjoint(_TOUCHES.findall(statement))
        and not statement.startswith(("CREATE", "ALTER"))
        and not _OF_ONE_OWNER.search(statement)
        and not _FOR_ONE_OWNER.match(statement)
    ]
