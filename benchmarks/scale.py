"""What operations cost on many tasks, next to what they cost on few."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import islice, repeat
from statistics import median
from urllib.parse import quote

from rich.progress import track
from uuid_utils.compat import uuid7

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
_DAY = 86400 // 4
"""How many tasks are made in a day."""
_SORTS = ("-created_at", "created_at", "-updated_at", "updated_at")
_SEARCHES = {
    "without q": "sort=-created_at",
    "in every sixth task": "q=milk",
    "in one task": f"q={quote('(10)')}",
    "in none": "q=nowhere",
}
_TOTALS = {
    "without total": "sort=-created_at",
    "total": "total=true",
    "open tasks": "completed=false",
    "total of open tasks": "completed=false&total=true",
}
_UNINDEXED = {
    "by -created_at": "sort=-created_at",
    "by title": "sort=title",
    "open tasks by title": "sort=title&completed=false",
}
_MANY_AT_ONCE = ("create 100", "update 20", "delete 20", "delete 80 by a filter")
"""What `_batches` does, in this order."""
_BATCHES = 20
_OWNERS = {"an owner": "owner-1", "the richest": RICHEST}
_OF_WHOM = {"": False, ", of the richest": True}
_APPLICATION = "benchmarks.unindexed:app"
"""This project, with a sort order that no index serves."""
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
        serving(_APPLICATION, few.url) as server_of_few,
        serving(_APPLICATION, many.url) as server,
        listener.listening() as url,
        serving(_APPLICATION, url) as observed,
    ):
        lists = await _lists(server, many)
        searches, totals, unindexed = map(_first_pages, (_SEARCHES, _TOTALS, _UNINDEXED))
        servers = {few: server_of_few, many: server}
        return [
            await _compare_pages("Lists", LISTS, server, lists, options, _LIMIT),
            await _compare_pages("Search", SEARCH, server, searches, options),
            await _compare_pages("Totals", TOTALS, server, totals, options),
            await _compare_pages("Sorts without an index", UNINDEXED, server, unindexed, options),
            await _many_at_once(servers, options),
            await _plans(many, observed, listener, [lists, searches, totals, unindexed]),
            await _growth(servers, options),  # last, because it opens tasks
        ]


def _first_pages(queries: Mapping[str, str]) -> Pages:
    """Return the first pages that some queries find, of an owner and of the richest."""
    return {
        name: {column: _page(query, owner) for column, query in queries.items()}
        for name, owner in _OWNERS.items()
    }


async def _lists(server: Server, many: Dataset) -> Pages:
    """Return pages of the richest: the first, one deep in the list, and what filters find."""
    deep = min(10_000, many.tasks // 10 // _PAGE // 2)
    middle = many.tasks // 2
    since, until = many.created_at(middle), many.created_at(middle + _DAY)
    ids = _ids(row.id for row in islice(many.random_rows(richest=True), _PAGE))
    return {
        sort: {
            "page 1": _page(f"sort={sort}"),
            f"page {deep:,}": _page(f"sort={sort}&cursor={await _cursor(server, sort, deep)}"),
            "open tasks": _page(f"sort={sort}&completed=false"),
            "a day": _page(f"sort={sort}&{field}__gte={since}&{field}__lt={until}"),
            "20 ids": _page(f"sort={sort}&{ids}"),
        }
        for sort in _SORTS
        for field in [sort.removeprefix("-")]
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


def _ids(ids: Iterable[str]) -> str:
    return "&".join(f"id__in={id_}" for id_ in ids)


def _page(query: str, owner: str = RICHEST, size: int = _PAGE) -> Request:
    return Request(owner, "GET", f"{TASKS}?{query}&limit={size}")


async def _compare_pages(
    title: str, note: str, server: Server, pages: Pages, options: Options, limit: float = 0
) -> Table:
    """Compare pages with those in the first column. Without a limit, they may be late."""

    async def cost(request: Request) -> Cost:
        requests = repeat(request)
        cost, _ = await measure(server, requests, seconds=options.seconds, may_be_late=not limit)
        return cost

    cells = {
        row: {column: partial(cost, request) for column, request in columns.items()}
        for row, columns in pages.items()
    }
    costs = await interleave(title, cells, options.rounds)
    return comparison(title, note, only("latency", costs), "ms", limit)


async def _many_at_once(servers: Mapping[Dataset, Server], options: Options) -> Table:
    """Measure what is done to many tasks at once, on few and on many tasks."""

    async def cost(server: Server, owner: str) -> dict[str, float]:
        requests = islice(_batches(owner), _BATCHES * len(_MANY_AT_ONCE))
        _, answers = await measure(server, requests)
        seconds = [answer.seconds for answer in answers]
        return {
            name: median(seconds[place :: len(_MANY_AT_ONCE)]) * 1000
            for place, name in enumerate(_MANY_AT_ONCE)
        }

    cells = {
        whose: {_column(dataset): partial(cost, servers[dataset], owner) for dataset in servers}
        for whose, owner in _OWNERS.items()
    }
    costs = await interleave("Many at once", cells, options.rounds)
    latency = {
        f"{whose}, {name}": {
            column: [cost[name] for cost in measured] for column, measured in columns.items()
        }
        for whose, columns in costs.items()
        for name in _MANY_AT_ONCE
    }
    return comparison("Many at once", MANY_AT_ONCE, latency, "ms", _LIMIT)


def _batches(owner: str) -> Iterator[Request]:
    """Give the requests of `_MANY_AT_ONCE`, again and again. What the first creates is deleted."""
    since = f"created_at__gte={datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    while True:
        ids = [str(uuid7()) for _ in range(100)]
        items = [{"id": id_, "title": "Buy milk", "description": "Two litres."} for id_ in ids]
        some = _ids(ids[:20])
        yield Request(owner, "POST", f"{TASKS}/batch", json.dumps({"items": items}))
        yield Request(owner, "PATCH", f"{TASKS}?{some}", '{"completed": true}')
        yield Request(owner, "DELETE", f"{TASKS}?{some}")
        yield Request(owner, "DELETE", f"{TASKS}?{since}")


async def _plans(
    many: Dataset, server: Server, listener: Listener, tables: Iterable[Pages]
) -> Table:
    """Show the plan of each kind of statement, as sent by the application."""
    runner = Runner(OURS, server)
    rows = []
    for of_whom, richest in _OF_WHOM.items():
        for operation in OPERATIONS:
            await runner.run(operation, [next(many.random_rows(richest=richest))])
            rows.append([operation.name + of_whom, *explain(many.url, listener.statement)])
    requests = {
        f"{row}, {column}": request
        for pages in tables
        for row, columns in pages.items()
        for column, request in columns.items()
    }
    for whose, owner in _OWNERS.items():
        names = (f"{whose}, {name}" for name in _MANY_AT_ONCE)
        requests |= zip(names, _batches(owner), strict=False)
    for name, request in requests.items():
        await measure(server, [request], may_be_late=True)
        rows.append([name, *explain(many.url, listener.statement)])
    return Table("Plans", PLANS, ["", *EXPLAINED], rows)


async def _growth(servers: Mapping[Dataset, Server], options: Options) -> Table:
    """Measure each operation on few and on many tasks."""
    runners = {dataset: Runner(OURS, server) for dataset, server in servers.items()}

    def cell(dataset: Dataset, operation: Operation, *, richest: bool) -> Cell[Cost]:
        rows = dataset.random_rows(richest=richest)
        return partial(runners[dataset].run, operation, rows, seconds=options.seconds)

    cells = {
        operation.name + of_whom: {
            _column(dataset): cell(dataset, operation, richest=richest) for dataset in runners
        }
        for of_whom, richest in _OF_WHOM.items()
        for operation in OPERATIONS
    }
    costs = await interleave("Growth", cells, options.rounds)
    return comparison("Growth", GROWTH, only("latency", costs), "ms", _LIMIT)


def _column(dataset: Dataset) -> str:
    return f"{dataset.tasks:,} tasks"


GROWTH = "Latency. The tasks are taken at random."
LISTS = "Latency of a page of the list of the richest."
SEARCH = (
    "Latency of the first page, the newest tasks first. A search looks at the owner's tasks in the"
    " order of the list, until the page is full, and at nobody else's. After 5 seconds it is"
    " answered with 503."
)
TOTALS = (
    "Latency of the first page, the newest tasks first, with the number of all that are found. They"
    " are counted up to 10,000."
)
UNINDEXED = (
    "Latency of the first page. All tasks of the owner that the filter finds are read and sorted."
)
MANY_AT_ONCE = (
    "Latency. The ids of 20 tasks are given; the filter is the time since which they were created."
)
PLANS = (
    "The statements that the application sent, explained with the values that it sent, and for any"
    " values, which is what PostgreSQL may choose for a prepared statement. Rows: how many the step"
    " that looked at most of them looked at. Blocks: how many of 8 KiB were touched. Faults are"
    " steps that read a whole table or sort."
)
