"""What production is made of, from Debian: PostgreSQL with TLS, and PgBouncer."""

import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import URL

from app.development.programs import private_folder, unprivileged
from app.kit.db.guard import guard
from tests.support.database import connect
from tests.support.programs import program

PARTITIONS = 4

POOLER = "ep-quiet-sun-a1b2c3d4-pooler.eu-central-1.aws.neon.tech"
"""A host's name as Neon makes them."""


_TABLES = """
    SELECT relname FROM pg_class
    WHERE relkind = 'r' AND relrowsecurity AND relnamespace = 'public'::regnamespace
"""
_KEYS = """
    SELECT format(
        'ALTER TABLE %%s ADD CONSTRAINT %%I %%s',
        conrelid::regclass, conname, pg_get_constraintdef(oid)
    ) FROM pg_constraint WHERE conrelid = %(table)s::regclass AND contype IN ('p', 'u')
    UNION ALL
    SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = %(table)s::regclass
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""


def partition(database: URL) -> None:
    """Partition each owned table of a database, which is empty, by its owner."""
    with connect(database) as connection:
        foreign_keys = connection.execute(
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)"
            " FROM pg_constraint WHERE contype = 'f'"
        ).fetchall()
        for (table,) in connection.execute(_TABLES).fetchall():
            keys = connection.execute(_KEYS, {"table": table}).fetchall()
            connection.execute(f"ALTER TABLE {table} RENAME TO whole")
            connection.execute(
                f"CREATE TABLE {table} (LIKE whole INCLUDING ALL EXCLUDING INDEXES)"
                " PARTITION BY HASH (owner_id)"
            )
            for remainder in range(PARTITIONS):
                connection.execute(
                    f"CREATE TABLE {table}_{remainder} PARTITION OF {table}"
                    f" FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {remainder})"
                )
            connection.execute("DROP TABLE whole CASCADE")
            for statement in [*(key for (key,) in keys), *guard(table)]:
                connection.execute(statement)
        for name, key, definition in foreign_keys:
            connection.execute(f"ALTER TABLE {name} ADD CONSTRAINT {key} {definition}")


@contextmanager
def postgres_with_tls(access: str) -> Iterator[URL]:
    """Run PostgreSQL with TLS on a port of 127.0.0.1, with a certificate of its own.

    Args:
        access: the lines of its pg_hba.conf for connections by TCP.

    Yields:
        the URL for its administrator, by Unix socket. It names the port.
    """
    initdb = program("initdb", package="postgresql")
    openssl = program("openssl", package="openssl")
    with TemporaryDirectory() as parent:
        folder = private_folder(Path(parent))
        data = folder / "data"
        _run(initdb, f"--pgdata={data}", "--username=postgres", "--encoding=UTF8", "--locale=C")
        request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=test"
        _run(openssl, *request.split(), f"-keyout={data}/server.key", f"-out={data}/server.crt")
        (data / "pg_hba.conf").write_text(f"local all postgres trust\n{access}", encoding="utf-8")
        port = _free_port()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": folder,
            "ssl": "on",
            "fsync": "off",
        }
        options = shlex.join(f"--{name}={value}" for name, value in settings.items())
        control = [str(Path(initdb).with_name("pg_ctl")), f"--pgdata={data}"]
        _run(*control, "start", "--wait", f"--log={folder}/log", f"--options={options}")
        try:
            yield URL.create(
                "postgresql",
                "postgres",
                database="postgres",
                port=port,
                query={"host": str(folder)},
            )
        finally:
            _run(*control, "stop", "--mode=immediate")


@contextmanager
def pgbouncer(upstream: URL) -> Iterator[URL]:
    """Run PgBouncer in transaction mode, with two connections for each database of a server.

    Nothing that it refuses by default is let through, such as parameters at the start of a
    connection.

    Args:
        upstream: a database of the server.

    Yields:
        the URL that leads through PgBouncer, by Unix socket, to the same database.
    """
    command = program("pgbouncer", package="pgbouncer")
    with TemporaryDirectory() as parent:
        folder = private_folder(Path(parent))
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(_configuration(upstream, folder), encoding="utf-8")
        url = upstream.set(host=None, port=None, password=None, query={"host": str(folder)})
        with (
            (folder / "log").open("w") as log,
            subprocess.Popen(
                [command, configuration], stdout=log, stderr=log, cwd=folder, **unprivileged()
            ) as process,
        ):
            try:
                while not (folder / ".s.PGSQL.5432").exists():
                    assert process.poll() is None, (folder / "log").read_text()
                    time.sleep(0.01)
                yield url
            finally:
                process.terminate()


def _configuration(upstream: URL, folder: Path) -> str:
    """The pgbouncer.ini of a PgBouncer with its socket in a folder, which lets in anybody."""
    server = {
        "host": upstream.query.get("host", upstream.host),
        "port": upstream.port,
        "user": upstream.username,
        "password": upstream.password,
    }
    given = {name: str(value).replace("'", "''") for name, value in server.items() if value}
    connection = " ".join(f"{name}='{value}'" for name, value in given.items())
    return f"""\
[databases]
* = {connection}
[pgbouncer]
pool_mode = transaction
default_pool_size = 2
auth_type = any
listen_port = 5432
unix_socket_dir = {folder}
"""


def _run(*command: str) -> None:
    """Run a program, as a user that is not root, and show what it printed if it fails."""
    result = subprocess.run(
        command,
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **unprivileged(),
    )
    assert result.returncode == 0, f"{shlex.join(command)}\n{result.stdout}"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
