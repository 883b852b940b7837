"""What operations cost on many tasks, next to what they cost on few."""

import json
from collections.abc import Mapping
from functools import partial
from itertools import repeat
from urllib.parse import quote

from rich.progress import track

from benchmarks import report
from benchmarks.candidates import OPERATIONS, OURS, TASKS, Operation
from benchmarks.dataset import RICHEST, Dataset, filled_databases
from benchmarks.load import Request
from benchmarks.measure import Cell, Cost, Options, Runner, interleave, measure, only
from benchmarks.plans import EXPLAINED, Listener, explain
from benchmarks.report import Table, comparison
from benchmarks.servers import Server, serving

_FEW = 10_000
_LIMIT = 1.3
"""How many times as long a request may take as what it is compared with."""
_PAGE = 20
_LARGEST_PAGE = 100
_SORTS = ("-created_at", "created_at", "-updated_at", "updated_at")
_SEARCHES = {"in every sixth task": "milk", "in one task": "(10)", "in none": "nowhere"}
_OWNERS = {"an owner": "owner-1", "the richest": RICHEST}
_OF_WHOM = {"": False, ", of the richest": True}
Pages = Mapping[str, Mapping[str, Request]]
"""Requests for pages of lists, by row and by column of a table."""


async def scale(options: Options) -> None:
    """Compare a large database with a small one, and write ``scale.md``."""
    sizes = {_FEW: _FEW // 100, options.tasks: options.tasks // 1000}
    with filled_databases(sizes) as [few, many]:
        tables = await _measure(few, many, options)
    introduction = (
        f"Written by `just bench scale`: {options.tasks:,} tasks of {options.tasks // 1000:,}"
        f" owners, the richest of whom has {options.tasks // 10:,}, next to {_FEW:,} tasks of"
        f" {_FEW // 100} owners, the richest of whom has {_FEW // 10:,}."
    )
    report.write("scale.md", "What growth costs", introduction, tables)


async def _measure(few: Dataset, many: Dataset, options: Options) -> list[Table]:
    listener = Listener(many.url)
    async with (
        serving(OURS.application, few.url) as server_of_few,
        serving(OURS.application, many.url) as server,
        listener.listening() as url,
        serving(OURS.application, url) as observed,
    ):
        lists, searches = await _lists(server, many), _searches()
        runners = {few: Runner(OURS, server_of_few), many: Runner(OURS, server)}
        return [
            await _compare_pages("Lists", LISTS, server, lists, options, _LIMIT),
            await _compare_pages("Search", SEARCH, server, searches, options),
            await _plans(many, Runner(OURS, observed), listener, {**lists, **searches}),
            await _growth(runners, options),  # last, because it opens tasks
        ]


def _searches() -> Pages:
    """Return first pages with and without a search, which looks at one task after the other."""
    return {
        name: {
            "without q": _page("sort=-created_at", owner),
            **{found: _page(f"q={quote(text)}", owner) for found, text in _SEARCHES.items()},
        }
        for name, owner in _OWNERS.items()
    }


async def _lists(server: Server, many: Dataset) -> Pages:
    """Return the first page of the richest, one deep in the list, and the first of open tasks."""
    deep = min(10_000, many.tasks // 10 // _PAGE // 2)
    return {
        sort: {
            "page 1": _page(f"sort={sort}"),
            f"page {deep:,}": _page(f"sort={sort}&cursor={await _cursor(server, sort, deep)}"),
            "open tasks": _page(f"sort={sort}&completed=false"),
        }
        for sort in _SORTS
    }


async def _cursor(server: Server, sort: str, page: int) -> str:
    """Go through the list of the richest, and return the cursor of a page."""
    full, rest = divmod((page - 1) * _PAGE, _LARGEST_PAGE)
    query = cursor = ""
    for size in track([_LARGEST_PAGE] * full + [rest] * (rest > 0), f"Walk by {sort}"):
        _, [answer] = await measure(server, [_page(f"sort={sort}{query}", size=size)])
        cursor = json.loads(answer.body)["next_cursor"]
        query = f"&cursor={cursor}"
    return cursor


def _page(query: str, owner: str = RICHEST, size: int = _PAGE) -> Request:
    return Request(owner, "GET", f"{TASKS}?{query}&limit={size}")


async def _compare_pages(
    title: str, note: str, server: Server, pages: Pages, options: Options, limit: float = 0
) -> Table:
    """Compare pages with those in the first column. Without a limit, they may fail."""

    async def cost(request: Request) -> Cost:
        requests = repeat(request)
        cost, _ = await measure(server, requests, seconds=options.seconds, may_fail=not limit)
        return cost

    cells = {
        row: {column: partial(cost, request) for column, request in columns.items()}
        for row, columns in pages.items()
    }
    costs = await interleave(title, cells, options.rounds)
    return comparison(title, note, only("latency", costs), "ms", limit)


async def _plans(many: Dataset, runner: Runner, listener: Listener, pages: Pages) -> Table:
    """Show the plan of each kind of statement, as sent by the application."""
    rows = []
    for of_whom, richest in _OF_WHOM.items():
        for operation in OPERATIONS:
            await runner.run(operation, [next(many.random_rows(richest=richest))])
            rows.append([operation.name + of_whom, *explain(many.url, listener.statement)])
    for row, columns in pages.items():
        for column, request in columns.items():
            await measure(runner.server, [request], may_fail=True)
            rows.append([f"{row}, {column}", *explain(many.url, listener.statement)])
    return Table("Plans", PLANS, ["", *EXPLAINED], rows)


async def _growth(runners: Mapping[Dataset, Runner], options: Options) -> Table:
    """Measure each operation on few and on many tasks."""

    def cell(dataset: Dataset, operation: Operation, *, richest: bool) -> Cell[Cost]:
        rows = dataset.random_rows(richest=richest)
        return partial(runners[dataset].run, operation, rows, seconds=options.seconds)

    cells = {
        operation.name + of_whom: {
            f"{dataset.tasks:,} tasks": cell(dataset, operation, richest=richest)
            for dataset in runners
        }
        for of_whom, richest in _OF_WHOM.items()
        for operation in OPERATIONS
    }
    costs = await interleave("Growth", cells, options.rounds)
    return comparison("Growth", GROWTH, only("latency", costs), "ms", _LIMIT)


GROWTH = "Latency. The tasks are taken at random."
LISTS = "Latency of a page of the list of the richest."
SEARCH = (
    "Latency of the first page, the newest tasks first. A search looks at the owner's tasks in the"
    " order of the list, until the page is full, and at nobody else's. After 5 seconds it is"
    " answered with 503."
)
PLANS = (
    "The statements that the application sent, explained with the values that it sent, and for any"
    " values, which is what PostgreSQL may choose for a prepared statement. Rows: how many the step"
    " that looked at most of them looked at. Blocks: how many of 8 KiB were touched. Faults are"
    " steps that read a whole table or sort."
)
