"""What the API needs of a database: tables, columns and the membership of its login."""

from typing import Any

from sqlmodel import SQLModel

from app.kit.db.guard import DIRECT, GUARDED

QUERY = f"""
SELECT needed.relation || '.' || needed.attribute
FROM unnest(%(relations)s::text[], %(attributes)s::text[]) AS needed (relation, attribute)
WHERE NOT EXISTS (
    SELECT FROM pg_attribute
    WHERE attrelid = to_regclass(quote_ident(needed.relation))
    AND attname = needed.attribute AND NOT attisdropped
)
UNION ALL
SELECT 'GRANT {DIRECT}, {GUARDED} TO ' || quote_ident(current_user)
WHERE 2 != (
    SELECT count(*) FROM pg_roles
    WHERE rolname IN ('{DIRECT}', '{GUARDED}') AND pg_has_role(oid, 'USAGE')
)
"""  # noqa: S608 - no input
"""Names what is missing, a row each. It reads catalogs only; what is not needed does not matter."""


def needed() -> dict[str, Any]:
    """Return the parameters of `QUERY`: the columns of all models."""
    columns = [column for table in SQLModel.metadata.tables.values() for column in table.columns]
    return {
        "relations": [column.table.name for column in columns],
        "attributes": [column.name for column in columns],
    }


def reason(missing: list[str]) -> str:
    """Return what to do about what is missing, in a line."""
    grants = [name for name in missing if name.startswith("GRANT ")]
    if columns := [name for name in missing if name not in grants]:
        return f"the database lacks {', '.join(columns)}: run `alembic upgrade head`"
    return f"the login is not in the groups that see rows: {grants[0]}"
