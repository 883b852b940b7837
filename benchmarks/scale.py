"""What operations cost on many tasks, next to what they cost on few."""

import json
from dataclasses import dataclass
from itertools import repeat
from statistics import median
from urllib.parse import quote

from rich.progress import Progress

from benchmarks import report
from benchmarks.contenders import OPERATIONS, OURS, TASKS
from benchmarks.dataset import RICHEST, Dataset, Row, filled_databases
from benchmarks.load import Request, send
from benchmarks.measure import Cost, Runner, cost_of, only
from benchmarks.plans import Listener, Plan, plan
from benchmarks.report import Table, comparison, number
from benchmarks.servers import Server, serving
from benchmarks.turns import Measure, take_turns

_FEW = 10_000
_PAGE = 20
_LARGEST_PAGE = 100
_SORTS = ("-created_at", "created_at", "-updated_at", "updated_at")
_OTHER_OWNER = Row("owner-1", "")
_SEARCHES = {"in every sixth task": "milk", "in one task": "milk 10", "in none": "nowhere"}


@dataclass(frozen=True)
class Options:
    """How thoroughly to measure.

    Attributes:
        rounds: how often each request is measured.
        seconds: how long, each time.
        tasks: how many there are in the large database. One owner has a tenth of them.
    """

    rounds: int
    seconds: float
    tasks: int


async def scale(options: Options) -> None:
    """Compare a large database with a small one, and write ``scale.md``."""
    sizes = {_FEW: _FEW // 100, options.tasks: options.tasks // 1000}
    with Progress() as progress:
        loading = progress.add_task("Load", total=sum(sizes))
        with filled_databases(sizes, lambda more: progress.advance(loading, more)) as databases:
            tables = await _measure(databases, options, progress)
    report.write("scale.md", _introduction(options), tables)


async def _measure(databases: list[Dataset], options: Options, progress: Progress) -> list[Table]:
    few, many = databases
    listener = Listener(many.url)
    async with (
        serving(OURS.application, few.url) as server_of_few,
        serving(OURS.application, many.url) as server,
        listener.listening() as url,
        serving(OURS.application, url) as observed,
    ):
        both = {few: Runner(OURS, server_of_few), many: Runner(OURS, server)}
        cursors = await _walk(server, many, progress)
        return [
            await _depth(server, cursors, options, progress),
            await _open_tasks(server, options, progress),
            await _search(server, progress),
            await _plans(many, Runner(OURS, observed), listener, cursors),
            await _growth(both, options, progress),  # last, because it opens tasks
        ]


async def _walk(server: Server, many: Dataset, progress: Progress) -> dict[str, str]:
    """Go through the list of the richest page by page, and return where the deep page starts."""
    full, rest = divmod((_deep(many.tasks) - 1) * _PAGE, _LARGEST_PAGE)
    limits = [_LARGEST_PAGE] * full + [rest] * (rest > 0)
    task = progress.add_task("Walk", total=len(limits) * len(_SORTS))
    cursors = {}
    for sort in _SORTS:
        query = f"sort={sort}"
        for limit in limits:
            [answer] = await send(server.port, iter([_list(f"{query}&limit={limit}")]), clients=1)
            cursors[sort] = json.loads(answer.body)["next_cursor"]
            query = f"sort={sort}&cursor={cursors[sort]}"
            progress.advance(task)
    return cursors


def _deep(tasks: int) -> int:
    """Return the number of a page deep in the list of the richest: 10,000 if there are as many."""
    return min(10_000, tasks // 10 // _PAGE // 2)


async def _growth(both: dict[Dataset, Runner], options: Options, progress: Progress) -> Table:
    """Measure each operation on few and on many tasks."""

    def measure(dataset: Dataset, operation: str, *, richest: bool) -> Measure[Cost]:
        rows = dataset.random_rows(richest=richest)
        return lambda: both[dataset].run(operation, rows, seconds=options.seconds)

    table = {
        operation + of: {
            f"{dataset.tasks:,} tasks": measure(dataset, operation, richest=bool(of))
            for dataset in both
        }
        for of in ("", ", of the richest")
        for operation in OPERATIONS
    }
    costs = await take_turns("Growth", table, options.rounds, progress)
    return comparison("Growth", GROWTH, only("latency", costs), "ms", limit=1.3)


async def _depth(
    server: Server, cursors: dict[str, str], options: Options, progress: Progress
) -> Table:
    """Measure the first page and a deep one, in every sort order."""
    deep = f"page {_deep(options.tasks):,}"
    table = {
        sort: {
            "page 1": _measure_list(server, f"sort={sort}&limit={_PAGE}", options),
            deep: _measure_list(server, f"sort={sort}&limit={_PAGE}&cursor={cursor}", options),
        }
        for sort, cursor in cursors.items()
    }
    costs = await take_turns("Depth", table, options.rounds, progress)
    return comparison("Depth", DEPTH, only("latency", costs), "ms", limit=1.3)


async def _open_tasks(server: Server, options: Options, progress: Progress) -> Table:
    """Measure the first page of all tasks and that of the open ones."""
    table = {
        sort: {
            "all": _measure_list(server, f"sort={sort}&limit={_PAGE}", options),
            "open": _measure_list(server, f"sort={sort}&limit={_PAGE}&completed=false", options),
        }
        for sort in _SORTS
    }
    costs = await take_turns("Open tasks", table, options.rounds, progress)
    return comparison("Open tasks", OPEN, only("latency", costs), "ms", limit=2)


async def _search(server: Server, progress: Progress) -> Table:
    """See what ``q`` costs. It can take too long, which is an answer as well."""
    task = progress.add_task("Search", total=2 * (1 + len(_SEARCHES)))
    rows = []
    for name, owner in (("an owner", _OTHER_OWNER.owner), ("the richest", RICHEST)):
        base, cells = 0.0, [name]
        for query in ("", *(f"&q={quote(text)}" for text in _SEARCHES.values())):
            requests = repeat(_list(f"limit={_PAGE}{query}", owner), 5)
            answers = await send(server.port, requests, clients=1)
            time = median(answer.seconds for answer in answers) * 1000
            base = base or time
            statuses = ", ".join(sorted({str(answer.status) for answer in answers}))
            cells.append(f"{number(time)} ms {time / base:.2f}× ({statuses})")
            progress.advance(task)
        rows.append(cells)
    return Table("Search", SEARCH, ["first page of", "without q", *_SEARCHES], rows)


async def _plans(
    many: Dataset, runner: Runner, listener: Listener, cursors: dict[str, str]
) -> Table:
    """Show the plan of each kind of statement, as sent by the application."""
    plans: dict[str, Plan] = {}

    def keep(name: str) -> None:
        assert listener.last is not None
        plans[name] = plan(many.url, listener.last)

    for of in ("", ", of the richest"):
        for operation in OPERATIONS:
            await runner.run(operation, [next(many.random_rows(richest=bool(of)))])
            keep(operation + of)
    queries = {
        **{f"page 1 by {sort}": f"sort={sort}" for sort in _SORTS},
        **{f"deep page by {sort}": f"sort={sort}&cursor={c}" for sort, c in cursors.items()},
        **{f"open tasks by {sort}": f"sort={sort}&completed=false" for sort in _SORTS},
        **{f"q {name}": f"q={quote(text)}" for name, text in _SEARCHES.items()},
    }
    for name, query in queries.items():
        await send(runner.server.port, iter([_list(f"{query}&limit={_PAGE}")]), clients=1)
        keep(name)
    rows = [
        [name, p.nodes, _count(p.rows), _count(p.blocks), _generic(p), p.faults or "none"]
        for name, p in plans.items()
    ]
    return Table("Plans", PLANS, ["", "plan", "rows", "blocks", "for any values", "faults"], rows)


def _measure_list(server: Server, query: str, options: Options) -> Measure[Cost]:
    async def measure() -> Cost:
        requests = repeat(_list(query))
        cost, _ = await cost_of(server, requests, seconds=options.seconds, clients=1)
        return cost

    return measure


def _list(query: str, owner: str = RICHEST) -> Request:
    return Request(owner, "GET", f"{TASKS}?{query}")


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _generic(of: Plan) -> str:
    return "the same" if of.generic == of.nodes else of.generic


def _introduction(options: Options) -> str:
    return f"""\
# What growth costs

Written by `just bench scale`. A database of {options.tasks:,} tasks of {options.tasks // 1000:,}
owners, one of whom, the richest, has {options.tasks // 10:,} of them, next to one of {_FEW:,} tasks
of {_FEW // 100} owners, whose richest has {_FEW // 10:,}. Of all tasks, 1 % are open. The tasks of
an owner lie scattered in the table. Both databases are in one PostgreSQL with its default settings,
each with a server of its own.

One client sends one request after the other, so latency is the server's time and PostgreSQL's. In
each round all columns are measured by turns. A cell has the median of the rounds, in brackets their
lowest and highest value, and how many times as much that is as in the first column: the median of
the ratios within a round.
"""


GROWTH = "Latency. The tasks are taken at random."
DEPTH = "Latency of a page of the list of the richest."
OPEN = "Latency of the first page of the list of the richest."
SEARCH = (
    "Latency of the first page, the newest tasks first, and the status of the answer. A "
    "search looks at the owner's tasks in the order of the list, until the page is full. For "
    "an owner with a thousand that is a fraction of a millisecond, and no other owner's task "
    "is looked at. An index for parts of words (`pg_trgm`) would be one over the tasks of all "
    "owners: each write would pay for it, short words would not profit, and a common word "
    "would be looked up in everybody's."
)
PLANS = (
    "The statements that the application sent, explained with the values that it sent, and for any"
    " values, which is what PostgreSQL may choose for a prepared statement. Pages are those of the"
    " richest. Rows: how many the step that looked at most of them looked at. Blocks: how many of"
    " 8 KiB were touched. Faults are steps that read a whole table or sort."
)
