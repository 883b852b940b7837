"""What it means that no statement reaches an owned table without its owner."""

import re
from collections.abc import Iterable

from sqlmodel import SQLModel

_OF_ONE_OWNER = re.compile(r"\bowner_id = \$\d+")
_FOR_ONE_OWNER = re.compile(
    r"^INSERT INTO \w+ \((?:[^)]*\bowner_id\b[^)]*\) VALUES \(|owner_id, [^)]*\) SELECT \$\d+\b)"
)
_IN_PARENTHESES = re.compile(r"\([^()]*\)")


def unowned(statements: Iterable[str]) -> list[str]:
    """Return the statements that touch an owned table without naming its owner.

    Each time that such a table is named, other than for one of its columns, there must be a
    condition on its owner, and no OR that could get around the conditions.
    """
    return [statement for statement in dict.fromkeys(statements) if _is_unowned(statement)]


def _is_unowned(statement: str) -> bool:
    tables = [name for name, table in SQLModel.metadata.tables.items() if "owner_id" in table.c]
    named = re.findall(
        rf'(?:(?<![\w.])(?<!AS )|(?<=public\.))"?\b(?:{"|".join(tables)})\b"?(?!"?\.)', statement
    )
    conditions = len(_OF_ONE_OWNER.findall(statement))
    if _FOR_ONE_OWNER.match(statement):
        conditions += 1
    outside = statement
    while (inner := _IN_PARENTHESES.sub("", outside)) != outside:
        outside = inner
    return len(named) > conditions or (bool(named) and " OR " in outside.upper())
