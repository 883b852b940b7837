"""This project and its peers, each doing the same."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import islice, product
from statistics import median

from rich.progress import Progress
from sqlalchemy import URL

from benchmarks import chart, report
from benchmarks.contenders import CONTENDERS, OPERATIONS, Contender
from benchmarks.dataset import Dataset, filled_databases
from benchmarks.distance import distant
from benchmarks.measure import Runner
from benchmarks.report import Table, comparison
from benchmarks.servers import serving, start_up_seconds
from tests.wire import Wire

_CLIENTS = 4
_CLIENTS_OF_WORKERS = 16
_DISTANCE = 0.02
"""Seconds to a database that is far away, and back."""
_WARM = 60
"""Requests of each kind to it that are not counted: connections are opened, and each of them
prepares a statement at its sixth use."""
_COUNTED = 15

_NAMES = [contender.name for contender in CONTENDERS]


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
                *await _far_away(dataset, progress),
                _start_up(dataset, options, progress),
                await _workers(dataset, options, progress),
            ]
    report.write("results.md", INTRODUCTION, tables)


async def _operations(dataset: Dataset, options: Options, progress: Progress) -> list[Table]:
    """Measure each operation, and at the end the memory of who has done them all."""
    cpu, latency = _empty(OPERATIONS, _NAMES), _empty(OPERATIONS, _NAMES)
    memory = _empty(["resident memory"], _NAMES)
    cells = (options.rounds + 1) * len(OPERATIONS) * len(CONTENDERS)
    task = progress.add_task("Operations", total=cells)
    async with _running(dataset.url) as runners:
        for round_ in range(options.rounds + 1):
            for operation, contender in product(OPERATIONS, _by_turns(round_)):
                cost = await runners[contender].run(
                    operation, dataset.random_rows(), seconds=options.seconds, clients=_CLIENTS
                )
                if round_:  # the first one only warms up
                    cpu[operation][contender.name].append(cost.cpu)
                    latency[operation][contender.name].append(cost.latency)
                progress.advance(task)
        for contender, runner in runners.items():
            memory["resident memory"][contender.name].append(runner.server.memory())
    chart.write("results.svg", "Processor time of the server for a request", cpu, "ms")
    return [
        comparison("Processor time of the server for a request", CPU, cpu, "ms"),
        comparison("Latency", LATENCY, latency, "ms"),
        comparison("Memory", MEMORY, memory, "MiB"),
    ]


async def _far_away(dataset: Dataset, progress: Progress) -> list[Table]:
    """Count the round trips of each operation, and see what they cost when they take time."""
    trips, latency = _empty(OPERATIONS, _NAMES), _empty(OPERATIONS, _NAMES)
    task = progress.add_task("Far away", total=len(OPERATIONS) * len(CONTENDERS))
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
                counts, times = [], []
                for row in islice(dataset.random_rows(), _COUNTED):
                    with wire.recording() as sent:
                        times.append((await runner.run(operation, [row])).latency)
                        await asyncio.sleep(2 * _DISTANCE)  # a session ends after the answer
                    counts.append(sent.round_trips)
                trips[operation][contender.name].append(median(counts))
                latency[operation][contender.name].append(median(times))
                progress.advance(task)
    return [
        comparison("Round trips to the database for a request", TRIPS, trips),
        comparison("Latency with a database that is 20 ms away", FAR, latency, "ms"),
    ]


def _start_up(dataset: Dataset, options: Options, progress: Progress) -> Table:
    """Measure what it takes to import and build each application."""
    seconds = _empty(["processor time"], _NAMES)
    task = progress.add_task("Start-up", total=options.rounds * len(CONTENDERS))
    for round_ in range(options.rounds):
        for contender in _by_turns(round_):
            needed = start_up_seconds(contender.application, dataset.url)
            seconds["processor time"][contender.name].append(needed)
            progress.advance(task)
    return comparison("Start-up", START_UP, seconds, "s")


async def _workers(dataset: Dataset, options: Options, progress: Progress) -> Table:
    """Measure how many requests one worker and two workers answer in a second."""
    throughput = _empty(_NAMES, ["1 worker", "2 workers"])
    task = progress.add_task("Workers", total=2 * (options.rounds + 1) * len(CONTENDERS))
    async with _running(dataset.url) as one, _running(dataset.url, workers=2) as two:
        for round_ in range(options.rounds + 1):
            for contender in _by_turns(round_):
                for column, runners in (("1 worker", one), ("2 workers", two)):
                    cost = await runners[contender].run(
                        "get",
                        dataset.random_rows(),
                        seconds=options.seconds,
                        clients=_CLIENTS_OF_WORKERS,
                    )
                    if round_:
                        throughput[contender.name][column].append(cost.throughput)
                    progress.advance(task)
    return comparison("Requests per second", WORKERS, throughput, "/s")


@asynccontextmanager
async def _running(database: URL, *, workers: int = 1) -> AsyncIterator[dict[Contender, Runner]]:
    """Run all contenders."""
    async with AsyncExitStack() as stack:
        yield {
            contender: Runner(
                contender,
                await stack.enter_async_context(
                    serving(contender.application, database, workers=workers)
                ),
            )
            for contender in CONTENDERS
        }


def _by_turns(round_: int) -> Sequence[Contender]:
    """Return the contenders in another order than in the round before."""
    first = round_ % len(CONTENDERS)
    return CONTENDERS[first:] + CONTENDERS[:first]


def _empty(rows: Iterable[str], columns: Iterable[str]) -> dict[str, dict[str, list[float]]]:
    """Return what is to be measured: nothing yet for each row and column."""
    columns = list(columns)
    return {row: {column: [] for column in columns} for row in rows}


INTRODUCTION = f"""\
# What a request costs

Written by `just bench`. The same operations on the same table with the same tasks, by this project
and by three peers, each as its users would write it (see `benchmarks/peers/`):

- **bare psycopg**: FastAPI and SQL on a connection pool, in autocommit. It is what remains if there
  is nothing between FastAPI and the driver.
- **handwritten SQLModel**: FastAPI, and a session for each request.
- **stock FastCRUD**: FastCRUD's own router with a policy for the rows of the owner. It counts the
  tasks of a list, and answers an update with `null`.

Only this project has cursors, entity tags, request ids, problem documents, a limit of the body's
size and a timeout; what these cost is in its numbers.

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
