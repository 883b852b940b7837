"""A PostgreSQL in a folder, which runs as long as processes use it.

The wheel's own ``get_server()`` cannot start in a folder with a space in its path, and never stops
once one of its users was killed. Here each user holds a lock, which ends with its process.
"""

import fcntl
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg
from sqlalchemy import URL

from app.development.programs import PREFIX, private_folder, run

# A socket's path has at most 103 bytes on macOS, 107 on Linux, and ends in "/.s.PGSQL.5432" here.
# Plain characters need no escapes in a URL, which SQLAlchemy and libpq escape differently.
_SOCKET_FOLDER = re.compile(r"[\w/.-]{1,89}", re.ASCII)
_INITDB = (
    "--username=postgres --auth=trust --encoding=UTF8"
    " --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8"
)
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_directories": ".",  # the data folder, where the server works
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@contextmanager
def embedded_postgres(folder: Path, options: Mapping[str, str] | None = None) -> Iterator[URL]:
    """Run PostgreSQL in a folder, and give the URL of its database ``todo``.

    The first of several users starts the server, with options such as ``{"fsync": "off"}``, and
    the last one stops it.

    Raises:
        OSError: the folder cannot be used. The message is one line.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "postgres"
    with (folder / "users.lock").open("w") as users, _socket_folder(data) as host:
        try:
            with _locked(folder / "start.lock"):
                fcntl.flock(users, fcntl.LOCK_SH)
                _initialize(data)
                _start(data, {**_SETTINGS, **(options or {})})
                _create_database(host)
            yield URL.create(
                "postgresql+psycopg", "postgres", database="todo", query={"host": host}
            )
        finally:
            with _locked(folder / "start.lock"), suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails if there are others
                _stop(data)


@contextmanager
def _socket_folder(data: Path) -> Iterator[str]:
    """Give a path of the data folder that fits into the path of a socket."""
    if _SOCKET_FOLDER.fullmatch(str(data)):
        yield str(data)
        return
    with TemporaryDirectory() as folder:
        link = Path(folder, "postgres")
        link.symlink_to(data)
        yield str(link)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _initialize(data: Path) -> None:
    """Create the data folder, which gets its name once it is complete."""
    if data.exists():
        return
    try:
        new = private_folder(data.parent)
        run("initdb", new, *_INITDB.split())
        new.rename(data)
    finally:
        for unfinished in data.parent.glob(f"{PREFIX}*"):
            shutil.rmtree(unfinished, ignore_errors=True)


def _start(data: Path, settings: Mapping[str, str]) -> None:
    if _is_running(data):
        return
    # A crash leaves them behind, with a pid that may belong to another program by now.
    for stale in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (data / stale).unlink(missing_ok=True)
    options = shlex.join(f"--{name}={value}" for name, value in settings.items())
    run("pg_ctl", data, "start", "--wait", f"--log={data / 'log'}", f"--options={options}")


def _stop(data: Path) -> None:
    if _is_running(data):
        run("pg_ctl", data, "stop", "--mode=fast")


def _is_running(data: Path) -> bool:
    """Tell whether the process in postmaster.pid is the server, which works in its folder."""
    try:
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        return Path(psutil.Process(pid).cwd()) == data
    except (OSError, LookupError, ValueError, psutil.Error):
        return False


def _create_database(host: str) -> None:
    with psycopg.connect(host=host, user="postgres", autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'todo'").fetchone():
            connection.execute("CREATE DATABASE todo")
