"""The candidates, each doing the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import islice
from statistics import median

from rich.progress import track
from sqlalchemy import URL

from benchmarks import chart, report
from benchmarks.candidates import CANDIDATES, OPERATIONS, Candidate, Operation
from benchmarks.dataset import Dataset, Row, filled_databases
from benchmarks.distance import distant
from benchmarks.measure import Cell, Cost, Options, Runner, interleave, only
from benchmarks.neighbours import compare_neighbours
from benchmarks.report import Table, comparison
from benchmarks.resources import compare_resources
from benchmarks.servers import serving
from tests.support.wire import Wire

_CLIENTS = 16
_DISTANCE = 0.02
"""Seconds to a database that is far away, and back."""
_WARM = 60
"""Requests of each kind to it that are not counted: connections are opened, and each of them
prepares a statement at its sixth use."""
_COUNTED = 15


async def compare(options: Options) -> None:
    """Compare all candidates, and write ``results.md`` and its chart."""
    with filled_databases({options.tasks: options.tasks // 100}) as [dataset]:
        tables = [
            *await _operations(dataset, options),
            *await compare_neighbours(dataset, options),
            await compare_resources(dataset.url, options.rounds),
            *await _far_away(dataset),
            await _start_up(dataset, options),
        ]
    introduction = f"Written by `just bench`, on {options.tasks:,} tasks."
    report.write("results.md", "What a request costs", introduction, tables)


async def _operations(dataset: Dataset, options: Options) -> list[Table]:
    """Measure each operation, and at the end the memory of who has done them all."""

    def cell(runner: Runner, operation: Operation, clients: int) -> Cell[Cost]:
        rows = dataset.random_rows()
        return partial(runner.run, operation, rows, seconds=options.seconds, clients=clients)

    async with _running(dataset.url) as runners:
        many, single = (
            {o.name: {r.candidate.name: cell(r, o, clients) for r in runners} for o in OPERATIONS}
            for clients in (_CLIENTS, 1)
        )
        costs = await interleave("Operations", many, options.rounds)
        alone = await interleave("Single requests", single, options.rounds)
        memory = {runner.candidate.name: [runner.server.memory()] for runner in runners}
    cpu = only("cpu", costs)
    chart.write("results.svg", CPU_TITLE, cpu, "ms")
    return [
        comparison(CPU_TITLE, CPU, cpu, "ms"),
        comparison("Latency under load", LATENCY, only("latency", costs), "ms"),
        comparison("Latency of single requests", SINGLE, only("latency", alone), "ms"),
        comparison("Memory", MEMORY, {"resident memory": memory}, "MiB"),
    ]


async def _far_away(dataset: Dataset) -> list[Table]:
    """Count the round trips of each operation, and see what they cost when they take time."""
    trips: dict[str, dict[str, list[float]]] = {o.name: {} for o in OPERATIONS}
    latency: dict[str, dict[str, list[float]]] = {o.name: {} for o in OPERATIONS}
    for candidate in track(CANDIDATES, "Far away"):
        wire = Wire(dataset.url)
        async with (
            wire.listening() as near,
            distant(near, _DISTANCE) as far,
            serving(candidate.application, far) as server,
        ):
            runner = Runner(candidate, server)
            for operation in OPERATIONS:
                await runner.run(operation, islice(dataset.random_rows(), _WARM), clients=_CLIENTS)
            for operation in OPERATIONS:
                rows = islice(dataset.random_rows(), _COUNTED)
                single = [await _single(runner, operation, row, wire) for row in rows]
                trips[operation.name][candidate.name] = [median(count for count, _ in single)]
                latency[operation.name][candidate.name] = [median(time for _, time in single)]
    return [
        comparison("Round trips to the database for a request", TRIPS, trips),
        comparison("Latency with a database that is 20 ms away", FAR, latency, "ms"),
    ]


async def _single(runner: Runner, operation: Operation, row: Row, wire: Wire) -> tuple[int, float]:
    """Return the round trips and the latency of one request."""
    with wire.recording() as sent:
        cost = await runner.run(operation, [row])
        await asyncio.sleep(2 * _DISTANCE)  # a session ends after the answer
    return sent.round_trips, cost.latency


async def _start_up(dataset: Dataset, options: Options) -> Table:
    """Measure what it takes to start each application."""

    async def start(candidate: Candidate) -> float:
        async with serving(candidate.application, dataset.url) as server:
            return server.cpu_seconds()

    cells = {"processor time": {c.name: partial(start, c) for c in CANDIDATES}}
    seconds = await interleave("Start-up", cells, options.rounds)
    return comparison("Start-up", START_UP, seconds, "s")


@asynccontextmanager
async def _running(database: URL) -> AsyncIterator[list[Runner]]:
    """Run all candidates."""
    async with AsyncExitStack() as stack:
        runners = []
        for candidate in CANDIDATES:
            server = serving(candidate.application, database)
            runners.append(Runner(candidate, await stack.enter_async_context(server)))
        yield runners


CPU_TITLE = "Processor time of the server for a request"
CPU = "User and system time of the server's process, by request. PostgreSQL's is not in it."
LATENCY = f"From the request to the whole answer, with {_CLIENTS} clients at once."
SINGLE = "From the request to the whole answer, one after the other on one connection."
MEMORY = "Of a worker, after all of these requests."
TRIPS = (
    "Counted on the wire: how often the server waits for PostgreSQL. The median of single requests,"
    " once connections are open and statements are prepared. The session of a peer ends with one"
    " after the answer, for which the client does not wait."
)
FAR = (
    "A proxy holds back what PostgreSQL answers, and adds about a millisecond of its own. The"
    " median of single requests, one after the other."
)
START_UP = "Processor time until the server listens."
