"""Whether openapi.json is well made: ``python -m tests.clients.openapi.lint``.

So is the document of the tests, which has every type of field.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.document import WITH_EXAMPLE
from tests.support.node import install
from tests.support.repository import ROOT

HERE = Path(__file__).parent
DOCUMENT = ROOT / "openapi.json"
LINTERS = [
    ["redocly", "lint", f"--config={HERE / 'redocly.yaml'}", "--format=stylish"],
    ["spectral", "lint", f"--ruleset={HERE / 'spectral.yaml'}", "--fail-severity=hint"],
]


def main() -> None:
    """Run the linters on both; each finding of theirs is a failure."""
    environment = {
        **install(HERE),
        "REDOCLY_TELEMETRY": "off",
        "REDOCLY_SUPPRESS_UPDATE_NOTICE": "1",
    }
    with TemporaryDirectory() as folder:
        of_the_tests = Path(folder) / "tests.json"
        of_the_tests.write_text(json.dumps(WITH_EXAMPLE, indent=2))
        for command in LINTERS:
            documents = [DOCUMENT, of_the_tests]
            done = subprocess.run([*command, *documents], env=environment, check=False)
            if done.returncode:
                sys.exit(
                    f"{command[0]} has findings: mend the schemas in app/, then run `just openapi`"
                )


if __name__ == "__main__":
    main()
