"""``just bench [compare|scale]``: what requests cost."""

import argparse
import sys

import uvloop

from benchmarks import compare, scale


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="just bench", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    for name, help_, tasks in (
        ("compare", "this project and its peers, each doing the same (the default)", 10_000),
        ("scale", "many tasks and few", 10_000_000),
    ):
        command = commands.add_parser(name, help=help_)
        command.add_argument("--rounds", type=int, default=8, help="how often each is measured")
        command.add_argument("--seconds", type=float, default=0.5, help="how long, each time")
        command.add_argument("--tasks", type=int, default=tasks, help="how many to load")
    given = vars(parser.parse_args(sys.argv[1:] or ["compare"]))
    match given.pop("command"):
        case "compare":
            uvloop.run(compare.compare(compare.Options(**given)))
        case "scale":
            uvloop.run(scale.scale(scale.Options(**given)))


if __name__ == "__main__":
    main()
