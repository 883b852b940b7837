"""What a server needs to answer requests: processor time, and the clients' patience."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from benchmarks.contenders import Contender, requests
from benchmarks.dataset import Row
from benchmarks.load import Answer, Request, send, until
from benchmarks.servers import Server


class Cost(NamedTuple):
    """What a request cost.

    Attributes:
        cpu: milliseconds of processor time of the server, PostgreSQL not included, on average.
        latency: milliseconds from the request to the whole answer, the median.
        throughput: requests per second.
    """

    cpu: float
    latency: float
    throughput: float


def only(
    field_name: str, costs: Mapping[str, Mapping[str, Sequence[Cost]]]
) -> dict[str, dict[str, list[float]]]:
    """Return one number of each cost in a table."""
    return {
        row: {name: [getattr(cost, field_name) for cost in cell] for name, cell in columns.items()}
        for row, columns in costs.items()
    }


@dataclass
class Runner:
    """A contender on its server. What it creates it deletes."""

    contender: Contender
    server: Server
    created: list[Row] = field(default_factory=list)

    async def run(
        self, operation: str, rows: Iterable[Row], *, seconds: float = 60, clients: int = 1
    ) -> Cost:
        """Do an operation on rows, as long as there are any and time is left.

        Args:
            operation: one of `OPERATIONS`.
            rows: the tasks to do it on; to delete takes as many of those that were created.
            seconds: when to stop.
            clients: how many requests to send at once.

        Raises:
            RuntimeError: a request has failed, so that there is nothing to compare.
        """
        if operation == "delete":
            rows = self._take_created(rows)
        to_send = requests(operation, self.contender, rows)
        cost, answers = await cost_of(self.server, to_send, seconds=seconds, clients=clients)
        if operation == "create":
            self.created += (Row(a.request.owner, json.loads(a.body)["id"]) for a in answers)
        return cost

    def _take_created(self, rows: Iterable[Row]) -> Iterator[Row]:
        for _ in rows:
            if not self.created:
                return
            yield self.created.pop()


async def cost_of(
    server: Server, to_send: Iterator[Request], *, seconds: float, clients: int
) -> tuple[Cost, list[Answer]]:
    """Send requests for some seconds, and return what one cost, and all answers.

    Raises:
        RuntimeError: one has failed, or there was none.
    """
    start, cpu = time.perf_counter(), server.cpu_seconds()
    answers = await send(server.port, until(start + seconds, to_send), clients=clients)
    elapsed, cpu = time.perf_counter() - start, server.cpu_seconds() - cpu
    failures = [answer for answer in answers if not 200 <= answer.status < 300]
    if failures or not answers:
        raise RuntimeError(f"not all requests succeeded: {failures[:1]}")
    latency = median(answer.seconds for answer in answers)
    return Cost(cpu * 1000 / len(answers), latency * 1000, len(answers) / elapsed), answers
