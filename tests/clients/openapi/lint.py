"""Whether openapi.json is well made: ``python -m tests.clients.openapi.lint``."""

import subprocess
import sys
from pathlib import Path

from tests.support.node import install
from tests.support.repository import ROOT

HERE = Path(__file__).parent
DOCUMENT = ROOT / "openapi.json"
LINTERS = [
    ["redocly", "lint", f"--config={HERE / 'redocly.yaml'}", "--format=stylish"],
    ["spectral", "lint", f"--ruleset={HERE / 'spectral.yaml'}", "--fail-severity=hint"],
]


def main() -> None:
    """Run the linters; each finding of theirs is a failure."""
    environment = {
        **install(HERE),
        "REDOCLY_TELEMETRY": "off",
        "REDOCLY_SUPPRESS_UPDATE_NOTICE": "1",
    }
    for command in LINTERS:
        done = subprocess.run([*command, DOCUMENT], env=environment, check=False)
        if done.returncode:
            sys.exit(
                f"{command[0]} has findings: mend the schemas in app/, then run `just openapi`"
            )


if __name__ == "__main__":
    main()
