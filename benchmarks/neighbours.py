"""What more of a list, and many tasks at once, cost next to their plain neighbours."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat

from benchmarks.candidates import OURS, TASKS
from benchmarks.dataset import RICHEST, Dataset
from benchmarks.load import Request
from benchmarks.measure import Cost, Options, interleave, measure, only
from benchmarks.report import Table, comparison
from benchmarks.servers import Server, serving

_CLIENTS = 4
_MANY = 20
_REQUESTS = 400
_NEW = {"title": "Buy milk", "description": "Two litres."}
_CHANGED = '{"title": "Buy oat milk"}'


async def compare_neighbours(dataset: Dataset, options: Options) -> list[Table]:
    """Measure lists with more than a limit, and writes of many tasks at once."""
    async with serving(OURS.application, dataset.url) as server:
        lists = {"list 20": {n: partial(_list, server, q, options) for n, q in _lists(dataset)}}
        of_lists = await interleave("Lists", lists, options.rounds)
        one, many = _Writes(server, 1), _Writes(server, _MANY)
        writes = {
            verb: {"one": partial(one.run, verb), f"{_MANY} at once": partial(many.run, verb)}
            for verb in ("create", "update", "delete")
        }
        of_writes = await interleave("Many at once", writes, options.rounds)
    return [
        comparison("More of a list", LISTS, only("cpu", of_lists), "ms"),
        comparison("Many at once", WRITES, only("cpu", of_writes), "ms"),
    ]


def _lists(dataset: Dataset) -> list[tuple[str, str]]:
    """Return what the richest owner asks for, and the name of its column."""
    newest = [dataset.row(dataset.tasks - 10 * (n + 1)).id for n in range(_MANY)]
    return [
        ("plain", ""),
        ("range", f"&created_at__gte={dataset.created_at(dataset.tasks // 2)}"),
        (f"set of {_MANY}", _among(newest, "&")),
        ("total", "&total=true"),
    ]


async def _list(server: Server, query: str, options: Options) -> Cost:
    request = Request(RICHEST, "GET", f"{TASKS}?limit=20{query}")
    asked = repeat(request)
    cost, _ = await measure(server, asked, seconds=options.seconds, clients=_CLIENTS)
    return cost


@dataclass
class _Writes:
    """Writes of so many tasks at once. They delete what they have created."""

    server: Server
    size: int
    created: list[list[str]] = field(default_factory=list)

    async def run(self, verb: str) -> Cost:
        """Write, some hundred times."""
        if verb == "create":
            self.created = []
        requests: Callable[[], list[Request]] = getattr(self, f"_{verb}")
        cost, answers = await measure(self.server, requests(), clients=_CLIENTS)
        if verb == "create":
            bodies = [json.loads(answer.body) for answer in answers]
            self.created = [[i["id"] for i in body.get("items", [body])] for body in bodies]
        return cost

    def _create(self) -> list[Request]:
        body: object = _NEW if self.size == 1 else {"items": [_NEW] * self.size}
        path = TASKS if self.size == 1 else f"{TASKS}/batch"
        return [Request("somebody", "POST", path, json.dumps(body))] * _REQUESTS

    def _update(self) -> list[Request]:
        return [Request("somebody", "PATCH", self._path(ids), _CHANGED) for ids in self.created]

    def _delete(self) -> list[Request]:
        return [Request("somebody", "DELETE", self._path(ids)) for ids in self.created]

    def _path(self, ids: list[str]) -> str:
        return f"{TASKS}/{ids[0]}" if self.size == 1 else TASKS + _among(ids, "?")


def _among(ids: list[str], start: str) -> str:
    return start + "&".join(f"id__in={id_}" for id_ in ids)


LISTS = (
    "Processor time of this project's server for 20 of the richest owner's tasks: the newest, those"
    " of a range of times, those of a set of ids, or the newest with the total."
)
WRITES = "Processor time of this project's server for a request that writes one task, or many."
