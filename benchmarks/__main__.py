"""``python -m benchmarks [compare|scale|overload]``: see ``--help``."""

import argparse

import uvloop

from benchmarks import compare


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="just bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--tasks", type=int, default=10_000)
    arguments = parser.parse_args()
    uvloop.run(
        compare.compare(compare.Options(arguments.rounds, arguments.seconds, arguments.tasks))
    )


if __name__ == "__main__":
    main()
