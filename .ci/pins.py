"""The exact versions of all dependencies, in pyproject.toml: ``python .ci/pins.py [--check]``.

uv.lock is not committed, because it names the hosts of registries. These pins make uv resolve to
the same versions on every machine.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

FILE = Path("pyproject.toml")
UV = os.environ.get("UV", "uv")  # `uv run` says where it is
PINS = re.compile(r"^constraint-dependencies = \[.*?\]$", re.MULTILINE | re.DOTALL)


def pinned(versions: list[str]) -> str:
    """Return the file with these versions."""
    lines = [f'    "{version}",' for version in versions]
    pins = "\n".join(["constraint-dependencies = [", *lines, "]"])
    return PINS.sub(lambda _: pins, FILE.read_text())


def resolved() -> list[str]:
    """Return what uv resolves to: one line of requirements.txt for each package."""
    command = [UV, "export", "--quiet", "--all-groups", "--no-hashes", "--no-annotate"]
    command += ["--no-header", "--no-emit-project"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return output.splitlines()


def main() -> None:
    """Upgrade and pin everything, or check that what is pinned is what uv resolves to."""
    if "--check" in sys.argv:
        if FILE.read_text() != pinned(resolved()):
            sys.exit(f"{FILE} does not pin what pyproject.toml asks for: run `just lock`")
        return
    FILE.write_text(pinned([]))
    subprocess.run([UV, "lock", "--upgrade"], check=True)
    FILE.write_text(pinned(resolved()))


if __name__ == "__main__":
    main()
