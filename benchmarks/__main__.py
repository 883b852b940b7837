"""``just bench [compare|scale]``: what requests cost."""

import argparse

import uvloop

from benchmarks.compare import compare
from benchmarks.measure import Options
from benchmarks.scale import scale

COMMANDS = {"compare": compare, "scale": scale}
TASKS = {"compare": 10_000, "scale": 10_000_000}


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="just bench",
        description="Measure this project and its peers (compare), or many tasks and few (scale).",
    )
    parser.add_argument("command", nargs="?", choices=COMMANDS, default="compare")
    parser.add_argument("--rounds", type=int, default=8, help="how often each is measured")
    parser.add_argument("--seconds", type=float, default=0.5, help="how long, each time")
    parser.add_argument("--tasks", type=int, help=f"how many there are; by default {TASKS}")
    given = parser.parse_args()
    tasks = given.tasks or TASKS[given.command]
    uvloop.run(COMMANDS[given.command](Options(given.rounds, given.seconds, tasks)))


if __name__ == "__main__":
    main()
