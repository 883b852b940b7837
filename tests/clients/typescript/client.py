"""A TypeScript client of this API: ``python -m tests.clients.typescript.client FOLDER``."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support.node import install
from tests.support.repository import ROOT

HERE = Path(__file__).parent
DOCUMENT = ROOT / "openapi.json"


def main() -> None:
    """Generate the client into a folder."""
    (target,) = sys.argv[1:]
    folder = Path(target).resolve()
    command = ["openapi-ts", f"--file={HERE / 'hey-api.config.ts'}", "--no-log-file"]
    command += [f"--input={DOCUMENT}", f"--output={folder}"]
    if subprocess.run(command, env=install(HERE), check=False).returncode:
        sys.exit(f"no client in {folder}: see above")
    zod = json.loads((HERE / "package.json").read_text())["devDependencies"]["zod"]
    sys.stdout.write(f"The client is in {folder}, and needs the npm package zod@{zod}.\n")


if __name__ == "__main__":
    main()
