"""Commands that need Node and the npm packages of TypeScript clients."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.node import install
from tests.support.repository import ROOT

PACKAGES = ROOT / "tests/clients/typescript"


@dataclass
class Outcome:
    """What a command did."""

    status: int
    output: str
    errors: str


def run(command: Sequence[str | Path], folder: Path, **environment: str) -> Outcome:
    """Run a command in a folder, with Node and the npm packages at hand."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**install(PACKAGES), **environment},
        check=False,
        capture_output=True,
        text=True,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)
