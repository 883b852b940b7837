"""What a server needs to answer requests: processor time, and the clients' patience."""

import json
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from statistics import median
from typing import NamedTuple, TypeVar

from rich.progress import track

from benchmarks.candidates import Candidate, Operation
from benchmarks.dataset import Row
from benchmarks.load import Answer, Request, send
from benchmarks.servers import Server

ResultT = TypeVar("ResultT")
Cell = Callable[[], Awaitable[ResultT]]
"""Measures a cell of a table once."""
Cells = Mapping[str, Mapping[str, Cell[ResultT]]]
"""By row and by column."""


@dataclass(frozen=True)
class Options:
    """How thoroughly to measure.

    Attributes:
        rounds: how often each cell is measured.
        seconds: how long, each time.
        tasks: how many there are.
    """

    rounds: int
    seconds: float
    tasks: int


class Cost(NamedTuple):
    """What a request cost.

    Attributes:
        cpu: milliseconds of processor time of the server, PostgreSQL not included, on average.
        latency: milliseconds from the request to the whole answer, the median.
    """

    cpu: float
    latency: float


async def measure(
    server: Server,
    requests: Iterable[Request],
    *,
    seconds: float = 60,
    clients: int = 1,
    may_be_late: bool = False,
) -> tuple[Cost, list[Answer]]:
    """Send requests, as long as there are any and time is left.

    Args:
        server: who answers them.
        requests: what to send.
        seconds: how much time there is.
        clients: how many connections there are, and so how many requests at once.
        may_be_late: whether 503 is an answer too, for what takes longer than the server waits.

    Returns:
        what one cost, and all answers.

    Raises:
        RuntimeError: one has failed, or there was none, so that there is nothing to compare.
    """
    deadline, cpu_before = time.perf_counter() + seconds, server.cpu_seconds()
    in_time = takewhile(lambda _: time.perf_counter() < deadline, requests)
    answers = await send(server.port, in_time, clients=clients)
    cpu = server.cpu_seconds() - cpu_before
    good = {200, 201, 204, 503} if may_be_late else {200, 201, 204}
    failures = [answer for answer in answers if answer.status not in good]
    if not answers or failures:
        raise RuntimeError(f"not all requests succeeded: {failures[:1]}")
    latency = median(answer.seconds for answer in answers)
    return Cost(cpu * 1000 / len(answers), latency * 1000), answers


@dataclass
class Runner:
    """A candidate on its server. What it creates it deletes."""

    candidate: Candidate
    server: Server
    created: list[Row] = field(default_factory=list)

    async def run(
        self, operation: Operation, rows: Iterable[Row], *, seconds: float = 60, clients: int = 1
    ) -> Cost:
        """Measure an operation on tasks, or for their owners."""
        if operation.method == "DELETE":
            rows = self._take_created(rows)
        requests = (operation.request(self.candidate, row) for row in rows)
        cost, answers = await measure(self.server, requests, seconds=seconds, clients=clients)
        if operation.creates:
            self.created += [Row(a.request.owner, json.loads(a.body)["id"]) for a in answers]
        return cost

    def _take_created(self, rows: Iterable[Row]) -> Iterator[Row]:
        for _ in rows:
            if not self.created:
                return
            yield self.created.pop()


async def interleave(
    name: str, cells: Cells[ResultT], rounds: int
) -> dict[str, dict[str, list[ResultT]]]:
    """Measure each cell of a table once in each round, in another order of columns each time.

    What else the machine does then touches all columns. A first round only warms up.

    Args:
        name: what the progress bar calls it.
        cells: how to measure each cell.
        rounds: how many results there will be of each.
    """
    schedule = [
        (round_, row, column)
        for round_ in range(rounds + 1)
        for row, columns in cells.items()
        for column in _rotated(list(columns), round_)
    ]
    results: dict[str, dict[str, list[ResultT]]] = {
        row: {column: [] for column in columns} for row, columns in cells.items()
    }
    for round_, row, column in track(schedule, name):
        result = await cells[row][column]()
        if round_:
            results[row][column].append(result)
    return results


def _rotated(columns: list[str], by: int) -> list[str]:
    first = by % len(columns)
    return columns[first:] + columns[:first]


def only(
    field_name: str, costs: Mapping[str, Mapping[str, Sequence[Cost]]]
) -> dict[str, dict[str, list[float]]]:
    """Return one number of each cost in a table."""
    return {
        row: {name: [getattr(cost, field_name) for cost in cell] for name, cell in columns.items()}
        for row, columns in costs.items()
    }
