"""Row level security: the roles, the policies and the transactions that PostgreSQL guards.

Two groups have a policy on each owned table, and logins of the API are members of both. Those of
``owned_direct`` see all rows: the statements of the six operations name the owner themselves. A
guarded transaction takes the role ``owned_guarded``, which sees the rows of the owner that the
transaction names. PostgreSQL looks at the current role, so this holds for any login: superusers,
owners of tables and roles with BYPASSRLS included.
"""

from psycopg.sql import SQL, Composed, Identifier, Literal
from sqlalchemy import Connection, Table, event, text

from app.kit.models.owned import OWNER_SETTING, is_owned

DIRECT = "owned_direct"
GUARDED = "owned_guarded"
POLICIES = {
    "direct": f"TO {DIRECT} USING (true)",
    "guarded": f"TO {GUARDED} USING (owner_id = current_setting('{OWNER_SETTING}', true))",
}

# A role belongs to all databases of a server: another one may have made it, at this very moment.
_CREATE_ROLE = """\
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role}; END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"""
# The creator of a role may use it only after a grant to itself, since PostgreSQL 16. A login that
# has privileges on the table goes on as before: reading, or as the API does. Where somebody else
# has made the roles, who migrates may not grant them: readiness then says what to grant.
_GRANT_ROLES = """\
DO $$ DECLARE login regrole; BEGIN
    FOR login IN
        SELECT CAST(quote_ident(current_user) AS regrole) UNION
        SELECT CAST(grantee AS regrole) FROM pg_class, aclexplode(relacl)
        WHERE pg_class.oid = CAST('{table}' AS regclass) AND grantee != 0
    LOOP
        CONTINUE WHEN login = CAST('{guarded}' AS regrole);
        BEGIN
            IF NOT pg_has_role(login, '{direct}', 'USAGE') THEN
                EXECUTE 'GRANT {direct} TO ' || login;
            END IF;
            IF NOT pg_has_role(login, '{guarded}', 'USAGE')
                AND has_table_privilege(login, '{table}', 'SELECT')
                AND has_table_privilege(login, '{table}', 'INSERT')
                AND has_table_privilege(login, '{table}', 'UPDATE')
                AND has_table_privilege(login, '{table}', 'DELETE')
            THEN
                EXECUTE 'GRANT {guarded} TO ' || login;
            END IF;
        EXCEPTION WHEN insufficient_privilege THEN NULL;
        END;
    END LOOP;
END $$"""
_DROP_ROLE = """\
DO $$ BEGIN
    DROP ROLE IF EXISTS {role};
EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege THEN NULL; END $$"""


def begin(owner: str) -> Composed:
    """Return what begins a guarded transaction, in one round trip.

    ``set_config()`` would not reach the workers of Citus, so the owner is a literal.
    """
    return SQL("BEGIN; SET LOCAL ROLE {}; SET LOCAL {} = {}").format(
        Identifier(GUARDED), Identifier(OWNER_SETTING), Literal(owner)
    )


def guard(table: str) -> list[str]:
    """Return the statements that guard a table, and make the roles if need be."""
    quoted = f'"{table}"'
    return [
        _CREATE_ROLE.format(role=GUARDED),
        _CREATE_ROLE.format(role=DIRECT),
        _GRANT_ROLES.format(table=quoted, direct=DIRECT, guarded=GUARDED),
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {quoted} TO {GUARDED}",
        f"ALTER TABLE {quoted} ENABLE ROW LEVEL SECURITY",
        *(f"CREATE POLICY {name} ON {quoted} {rule}" for name, rule in POLICIES.items()),
    ]


def unguard(table: str) -> list[str]:
    """Return the statements that undo `guard`, and drop the roles if nothing needs them."""
    quoted = f'"{table}"'
    return [
        *(f"DROP POLICY {name} ON {quoted}" for name in POLICIES),
        f"ALTER TABLE {quoted} DISABLE ROW LEVEL SECURITY",
        f"REVOKE ALL ON {quoted} FROM {GUARDED}",
        _DROP_ROLE.format(role=DIRECT),
        _DROP_ROLE.format(role=GUARDED),
    ]


@event.listens_for(Table, "after_create")
def _guard(table: Table, connection: Connection, **_: object) -> None:
    """Guard an owned table that is made from its model, as a migration would."""
    if is_owned(table):
        for statement in guard(table.name):
            connection.execute(text(statement))
