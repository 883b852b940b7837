"""A copy of what is in the repository, to change as the README says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.readme import blocks, files
from tests.support.repository import ROOT


def copied(folder: Path) -> Path:
    """Copy what is in the repository into a folder."""
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    return folder


def run(copy: Path, command: str) -> None:
    """Run a command in a copy of the repository."""
    environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": sys.prefix, "UV_NO_SYNC": "1"}
    subprocess.run(["bash", "-euc", command], cwd=copy, env=environment, check=True, timeout=100)


def follow(title: str, copy: Path) -> str:
    """Do what a section says, in a copy of the repository, and return the migration."""
    for path, text in files(title).items():
        (copy / path).write_text(text)
    for language, text in blocks(title):
        if language == "diff":
            subprocess.run(["patch", "-p1"], cwd=copy, input=text, text=True, check=True)
        if language == "bash":
            run(copy, text)
    changed = "app migrations tests/support/identity.py"
    run(copy, f"ruff check {changed}; ruff format --check {changed}")
    return newest_migration(copy)


def newest_migration(copy: Path) -> str:
    """The text of the migration that was written last."""
    return max((copy / "migrations/versions").glob("*.py"), key=os.path.getmtime).read_text()
