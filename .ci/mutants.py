"""Change the code in small ways, and name what no test notices: ``.ci/mutants.py [PATH...]``.

It works in a copy, and on the PostgreSQL of DATABASE_URL, where it creates databases.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from cosmic_ray.commands.init import init
from cosmic_ray.modules import find_modules
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome

CODE = ("app/api", "app/kit")

# All tests but those that mostly start programs, in one deployment, the slow ones last. What
# noticed the change before is likely to notice this one.
PYTEST = (
    f"{sys.executable} -m pytest -x -q --failed-first -p no:randomly"
    " -k 'not pooled and not partitioned'"
)
LEFT_OUT = (
    "tests/clients",
    "tests/running",
    "tests/database/test_production.py",
    "tests/ownership/test_authentication.py",
)
SLOW = (
    "tests/clients/test_contract.py",
    "tests/database/test_faults.py",
    "tests/kit/test_migrations.py",
    "tests/running/test_running.py",
)
QUICK_TESTS = " ".join([PYTEST, *(f"--ignore={path}" for path in (*LEFT_OUT, *SLOW))])
SLOW_TESTS = " ".join([PYTEST, *SLOW])
TESTS = shlex.join(["bash", "-c", f"{QUICK_TESTS} && {SLOW_TESTS}"])

# One other arithmetic operator shows as much as all do. "|" is in annotations, and "is" and "=="
# seldom differ.
TOO_MANY = re.compile(
    r"core/Replace("
    r"BinaryOperator_(?!Add_Sub|Sub_Add|Mul_FloorDiv|FloorDiv_Mul|Div_Mul|Pow_Mul|RShift_LShift)"
    r"|ComparisonOperator_(?!Is)\w+_Is|ComparisonOperator_Is(Not)?_(?!Is))"
)


def mutations(paths: list[Path]) -> list[MutationSpec]:
    """Return the changes to make, in the order of the code."""
    modules = sorted(set(find_modules(paths)))
    with TemporaryDirectory() as folder, use_db(f"{folder}/work.sqlite") as work:
        init(modules, work, {})
        found = [mutation for item in work.work_items for mutation in item.mutations]
    wanted = [mutation for mutation in found if not TOO_MANY.match(mutation.operator_name)]
    return sorted(wanted, key=lambda mutation: (mutation.module_path, mutation.start_pos))


def survivors(todo: list[MutationSpec], seconds: float) -> Iterator[str]:
    """Make each change, test it for so long at most, and yield those that pass the tests."""
    for number, mutation in enumerate(todo, start=1):
        result = mutate_and_test([mutation], TESTS, seconds)
        if result.worker_outcome is not WorkerOutcome.NORMAL:
            sys.exit(result.output)
        place = f"{mutation.module_path}:{mutation.start_pos[0]}"
        print(f"{number}/{len(todo)} {result.test_outcome.value} {place}", flush=True)
        if result.test_outcome is TestOutcome.SURVIVED:
            lines = result.diff.splitlines()[3:]  # after the names of the files
            change = "\n".join(line for line in lines if line.startswith(("-", "+")))
            print(change, flush=True)
            yield f"{place}\n{change}"


def main() -> None:
    """Try all changes of some files, or of all that serve requests."""
    paths = [Path(path) for path in sys.argv[1:] or CODE]
    os.environ["TEST_DATABASE_URL"] = os.environ["DATABASE_URL"]
    git = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(git, check=True, capture_output=True, text=True).stdout.split("\0")
    with TemporaryDirectory(ignore_cleanup_errors=True) as copy:
        for file in filter(os.path.isfile, files):
            Path(copy, file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, Path(copy, file))
        os.chdir(copy)
        started = monotonic()
        unchanged = subprocess.run(
            shlex.split(TESTS), check=False, stdout=subprocess.PIPE, text=True
        )
        if unchanged.returncode:
            sys.exit(f"The tests fail without any change:\n{unchanged.stdout}")
        todo = mutations(paths)
        found = list(survivors(todo, 3 * (monotonic() - started)))
    print(f"\n{len(todo)} changes, {len(found)} of which no test notices:")
    print(*found, sep="\n\n")


if __name__ == "__main__":
    main()
