"""Many more clients than connections: what they are answered, and what is left afterwards."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from rich.progress import Progress

from benchmarks import report
from benchmarks.contenders import CONTENDERS, Contender, requests
from benchmarks.dataset import Dataset, filled_databases
from benchmarks.distance import distant
from benchmarks.load import Answer, send, until
from benchmarks.report import Table, number
from benchmarks.servers import serving
from tests.support.wire import Wire

_TASKS = 10_000
_USUAL = 4
"""Clients before the burst, and after it."""
_DISTANCES = {"PostgreSQL is near": 0.0, "PostgreSQL is 20 ms away": 0.02}


@dataclass(frozen=True)
class Options:
    """How hard to try.

    Attributes:
        clients: how many send requests at once.
        seconds: how long they do.
    """

    clients: int
    seconds: float


async def overload(options: Options) -> None:
    """Overload all contenders, and write ``overload.md``."""
    with Progress() as progress:
        task = progress.add_task("Overload", total=3 * len(CONTENDERS) * len(_DISTANCES))
        with filled_databases({_TASKS: _TASKS // 100}, lambda _: None) as [dataset]:
            tables = []
            for title, distance in _DISTANCES.items():
                rows = [
                    await _burst(
                        contender, dataset, distance, options, lambda: progress.advance(task)
                    )
                    for contender in CONTENDERS
                ]
                tables.append(Table(title, NOTE, HEADER, rows))
    report.write("overload.md", _introduction(options), tables)


async def _burst(
    contender: Contender,
    dataset: Dataset,
    distance: float,
    options: Options,
    advance: Callable[[], object],
) -> list[str]:
    """Let few clients ask for tasks, then many, then few again, and return what came of it."""
    async with (
        Wire(dataset.url).listening() as near,
        distant(near, distance) as url,
        serving(contender.application, url) as server,
    ):
        phases = []
        for clients in (_USUAL, options.clients, _USUAL):
            start = time.perf_counter()
            to_send = until(
                start + options.seconds, requests("get", contender, dataset.random_rows())
            )
            answers = await send(server.port, to_send, clients=clients)
            phases.append((answers, _rate(answers, time.perf_counter() - start)))
            advance()
    (_, before), (answers, during), (_, after) = phases
    return [
        contender.name,
        _statuses(answers),
        f"{number(max(answer.seconds for answer in answers))} s",
        *(f"{number(rate)} /s" for rate in (before, during, after)),
        f"{after / before:.2f}×",
    ]


def _rate(answers: list[Answer], seconds: float) -> float:
    """Return how many requests succeeded in a second."""
    return sum(answer.status == 200 for answer in answers) / seconds


def _statuses(answers: list[Answer]) -> str:
    counts = Counter(answer.status for answer in answers)
    names = {0: "none at all"}
    return ", ".join(f"{counts[s]:,} × {names.get(s, s)}" for s in sorted(counts))


HEADER = ["", "answers in the burst", "slowest", "before", "during", "after", "after / before"]
NOTE = "How many answers of which status; the slowest of them; and successes per second."


def _introduction(options: Options) -> str:
    return f"""\
# What overload does

Written by `just bench overload`. {_USUAL} clients ask for tasks (`get`), then {options.clients} at
once for {number(options.seconds)} seconds, each again as soon as it is answered, then {_USUAL}
again. Each server has five connections, which everything goes through. What differs is what happens
to those who wait: this project answers 503 after `DATABASE_TIMEOUT`, 5 seconds; the pools of the
peers let them wait for 30 seconds, and then it is an error.
"""
