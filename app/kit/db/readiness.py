"""What the API needs of a database: tables, columns and the membership of its login."""

from typing import Any

from sqlmodel import SQLModel

from app.kit.db.guard import DIRECT, GUARDED

QUERY = f"""
SELECT 'search_path (' || current_setting('search_path') || ') lacks '
    || string_agg(needed.relation || '.' || needed.attribute, ', ')
    || ': run `alembic upgrade head`'
FROM unnest(%(relations)s::text[], %(attributes)s::text[]) AS needed (relation, attribute)
WHERE NOT EXISTS (
    SELECT FROM pg_attribute
    WHERE attrelid = to_regclass(quote_ident(needed.relation))
    AND attname = needed.attribute AND NOT attisdropped
)
HAVING count(*) > 0
UNION ALL
SELECT 'the login is not in the groups that see rows: GRANT {DIRECT}, {GUARDED} TO '
     || quote_ident(current_user)
WHERE 2 != (
    SELECT count(*) FROM pg_roles
    WHERE rolname IN ('{DIRECT}', '{GUARDED}') AND pg_has_role(oid, 'USAGE')
)
UNION ALL
SELECT 'transactions are read only, by default_transaction_read_only or on a standby'
WHERE current_setting('transaction_read_only') = 'on'
"""  # noqa: S608 - no input
"""Says what is missing, a row each. It reads catalogs only; what is not needed does not matter."""


def needed() -> dict[str, Any]:
    """Return the parameters of `QUERY`: the columns of all models."""
    columns = [column for table in SQLModel.metadata.tables.values() for column in table.columns]
    return {
        "relations": [column.table.name for column in columns],
        "attributes": [column.name for column in columns],
    }
