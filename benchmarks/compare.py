"""This project and its peers, each doing the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from statistics import median

from rich.progress import Progress
from sqlalchemy import URL

from benchmarks import chart, report
from benchmarks.contenders import CONTENDERS, OPERATIONS, Contender
from benchmarks.dataset import Dataset, Row, filled_databases
from benchmarks.distance import distant
from benchmarks.measure import Cost, Runner, only
from benchmarks.report import Table, comparison
from benchmarks.resources import compare_resources
from benchmarks.servers import serving, start_up_seconds
from benchmarks.turns import Measure, take_turns
from tests.support.wire import Wire

_CLIENTS = 4
_CLIENTS_OF_WORKERS = 16
_DISTANCE = 0.02
"""Seconds to a database that is far away, and back."""
_WARM = 60
"""Requests of each kind to it that are not counted: connections are opened, and each of them
prepares a statement at its sixth use."""
_COUNTED = 15


@dataclass(frozen=True)
class Options:
    """How thoroughly to measure.

    Attributes:
        rounds: how often each operation of each contender is measured.
        seconds: how long, each time.
        tasks: how many there are.
    """

    rounds: int
    seconds: float
    tasks: int


async def compare(options: Options) -> None:
    """Compare all contenders, and write ``results.md`` and its chart."""
    with Progress() as progress:
        loading = progress.add_task("Load", total=options.tasks)
        sizes = {options.tasks: options.tasks // 100}
        with filled_databases(sizes, lambda more: progress.advance(loading, more)) as [dataset]:
            tables = [
                *await _operations(dataset, options, progress),
                await compare_resources(dataset.url, options.rounds, progress),
                *await _far_away(dataset, progress),
                await _start_up(dataset, options, progress),
                await _workers(dataset, options, progress),
            ]
    report.write("results.md", INTRODUCTION, tables)


async def _operations(dataset: Dataset, options: Options, progress: Progress) -> list[Table]:
    """Measure each operation, and at the end the memory of who has done them all."""

    def measure(runner: Runner, operation: str) -> Measure[Cost]:
        rows = dataset.random_rows()
        return lambda: runner.run(operation, rows, seconds=options.seconds, clients=_CLIENTS)

    async with _running(dataset.url) as runners:
        table = {o: {name: measure(r, o) for name, r in runners.items()} for o in OPERATIONS}
        costs = await take_turns("Operations", table, options.rounds, progress)
        memory = {name: [runner.server.memory()] for name, runner in runners.items()}
    cpu, latency = only("cpu", costs), only("latency", costs)
    chart.write("results.svg", "Processor time of the server for a request", cpu, "ms")
    return [
        comparison("Processor time of the server for a request", CPU, cpu, "ms"),
        comparison("Latency", LATENCY, latency, "ms"),
        comparison("Memory", MEMORY, {"resident memory": memory}, "MiB"),
    ]


async def _far_away(dataset: Dataset, progress: Progress) -> list[Table]:
    """Count the round trips of each operation, and see what they cost when they take time."""
    task = progress.add_task("Far away", total=len(OPERATIONS) * len(CONTENDERS))
    trips: dict[str, dict[str, list[float]]] = {operation: {} for operation in OPERATIONS}
    latency: dict[str, dict[str, list[float]]] = {operation: {} for operation in OPERATIONS}
    for contender in CONTENDERS:
        wire = Wire(dataset.url)
        async with (
            wire.listening() as near,
            distant(near, _DISTANCE) as far,
            serving(contender.application, far) as server,
        ):
            runner = Runner(contender, server)
            for operation in OPERATIONS:
                rows = islice(dataset.random_rows(), _WARM)
                await runner.run(operation, rows, clients=_CLIENTS)
            for operation in OPERATIONS:
                rows = islice(dataset.random_rows(), _COUNTED)
                single = [await _single(runner, operation, row, wire) for row in rows]
                trips[operation][contender.name] = [median(count for count, _ in single)]
                latency[operation][contender.name] = [median(time for _, time in single)]
                progress.advance(task)
    return [
        comparison("Round trips to the database for a request", TRIPS, trips),
        comparison("Latency with a database that is 20 ms away", FAR, latency, "ms"),
    ]


async def _single(runner: Runner, operation: str, row: Row, wire: Wire) -> tuple[int, float]:
    """Return the round trips and the latency of one request."""
    with wire.recording() as sent:
        cost = await runner.run(operation, [row])
        await asyncio.sleep(2 * _DISTANCE)  # a session ends after the answer
    return sent.round_trips, cost.latency


async def _start_up(dataset: Dataset, options: Options, progress: Progress) -> Table:
    """Measure what it takes to import and build each application."""

    def measure(contender: Contender) -> Measure[float]:
        return lambda: start_up_seconds(contender.application, dataset.url)

    table = {"processor time": {contender.name: measure(contender) for contender in CONTENDERS}}
    seconds = await take_turns("Start-up", table, options.rounds, progress)
    return comparison("Start-up", START_UP, seconds, "s")


async def _workers(dataset: Dataset, options: Options, progress: Progress) -> Table:
    """Measure how many requests one worker and two workers answer in a second."""

    def measure(runner: Runner) -> Measure[Cost]:
        rows = dataset.random_rows()
        clients = _CLIENTS_OF_WORKERS
        return lambda: runner.run("get", rows, seconds=options.seconds, clients=clients)

    async with _running(dataset.url) as one, _running(dataset.url, workers=2) as two:
        table = {
            name: {"1 worker": measure(one[name]), "2 workers": measure(two[name])} for name in one
        }
        costs = await take_turns("Workers", table, options.rounds, progress)
    return comparison("Requests per second", WORKERS, only("throughput", costs), "/s")


@asynccontextmanager
async def _running(database: URL, *, workers: int = 1) -> AsyncIterator[dict[str, Runner]]:
    """Run all contenders, and give them by name."""
    async with AsyncExitStack() as stack:
        runners = {}
        for contender in CONTENDERS:
            server = serving(contender.application, database, workers=workers)
            runners[contender.name] = Runner(contender, await stack.enter_async_context(server))
        yield runners


INTRODUCTION = f"""\
# What a request costs

Written by `just bench`. The same operations on the same table with the same tasks, by this project
and by three peers, each as its users would write it (see `benchmarks/peers/`):

- **bare psycopg**: FastAPI and SQL on a connection pool, in autocommit. It is what remains if there
  is nothing between FastAPI and the driver.
- **handwritten SQLModel**: FastAPI, and a session for each request.
- **stock FastCRUD**: FastCRUD's own router with a policy for the rows of the owner. It counts the
  tasks of a list, and answers an update with `null`.

Only this project has cursors, entity tags, request ids, a log of each request, problem documents, a
limit of the body's size and a timeout; what these cost is in its numbers.

Each server is one worker of uvicorn with its defaults, without an access log, and has five
connections. {_CLIENTS} clients send requests over connections that they keep. In each round all
servers are measured by turns. A cell has the median of the rounds, in brackets their lowest and
highest value, and how many times as much that is as this project needs: the median of the ratios
within a round.
"""
CPU = "User and system time of the server's process, by request. PostgreSQL's is not in it."
LATENCY = f"From the request to the whole answer, with {_CLIENTS} clients at once."
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
START_UP = "Processor time to start Python and to import and build the application."
WORKERS = (
    f"`get`, by {_CLIENTS_OF_WORKERS} clients. Clients, PostgreSQL and workers share the cores,"
    " so on two cores a second worker cannot double it."
)
