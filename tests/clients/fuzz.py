"""Random requests to a running server: ``python -m tests.clients.fuzz SEED EXAMPLES``."""

import os
import subprocess
import sys
from pathlib import Path

from alembic.command import upgrade
from alembic.config import Config
from hypothesis import Phase

from app.development.database import scratch_database
from tests.support.repository import ROOT
from tests.support.server import serve
from tests.support.stateful import explore

ALL_PHASES = "examples,coverage,fuzzing,stateful"


def fuzz(
    url: str, *, seed: int, examples: int, schema: str = "openapi.json", phases: str = ALL_PHASES
) -> None:
    """Run all checks, and raise CalledProcessError if one of them fails.

    Args:
        url: where the server is.
        seed: the same seed makes the same requests.
        examples: how many requests to make of each kind, for each operation.
        schema: the document to go by, a file or a URL.
        phases: what to make requests from.
    """
    program = Path(sys.executable).with_name("schemathesis")
    options = [f"--url={url}", f"--seed={seed}", f"--max-examples={examples}", f"--phases={phases}"]
    subprocess.run(
        [program, "--config-file=tests/clients/schemathesis.toml", "run", schema, *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},  # where it finds our own checks
        check=True,
    )


def main() -> None:
    """Fuzz a server of its own."""
    seed, examples = map(int, sys.argv[1:])
    with scratch_database() as database:
        upgrade(Config(toml_file="pyproject.toml"), "head")
        with serve(database) as server:
            try:
                fuzz(server.url, seed=seed, examples=examples)
            except subprocess.CalledProcessError:
                sys.exit(f"Schemathesis found failures: see above; the seed was {seed}")
            sys.stdout.write("Several owners do anything in any order ...\n")
            explore(
                server,
                database,
                number=seed,
                examples=examples,
                phases=(Phase.generate, Phase.shrink),
            )


if __name__ == "__main__":
    main()
