"""What each resource costs: tasks, the example of the README, and whatever is added."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import httpx
from sqlalchemy import URL, create_engine
from sqlmodel import SQLModel

from app.main import create_app
from benchmarks.load import Request
from benchmarks.measure import Cost, interleave, measure, only
from benchmarks.report import Table, comparison
from benchmarks.servers import Server, serving
from tests.support import example, identity
from tests.support.operations import CREATE, OPERATIONS, Operation

_OWNER = "somebody"
_REQUESTS = 400
_CLIENTS = 4
_VERBS = ("create", "list", "get", "update", "delete")
"""Delete comes last: it deletes what was created."""

app = example.add_to(create_app())


@dataclass
class Resource:
    """A resource on a server. What it creates it deletes."""

    name: str
    server: Server
    client: httpx.Client
    created: list[str] = field(default_factory=list)

    async def run(self, verb: str) -> Cost:
        """Do one of its operations many times, by several clients at once."""
        operation = next(
            operation
            for operation in OPERATIONS
            if operation.table.name == self.name
            and operation.name.startswith(verb)
            and not (operation.filters or operation.is_batch)
        )
        ids = self.created if "{id}" in operation.path else [""] * _REQUESTS
        requests = [self._request(operation, id_) for id_ in ids]
        cost, answers = await measure(self.server, requests, clients=_CLIENTS)
        if verb == "create":
            self.created = [json.loads(answer.body)["id"] for answer in answers]
        return cost

    def _request(self, operation: Operation, id_: str) -> Request:
        fields = operation.fields(self.client)
        body = "" if fields is None else json.dumps(fields)
        query = "" if id_ or body else "?limit=20"
        path = operation.path.replace("{id}", id_) + query
        return Request(_OWNER, operation.method, path, body)


async def compare_resources(database: URL, rounds: int) -> Table:
    """Compare the operations of all resources with those of tasks."""
    async with _served(database) as resources:
        cells = {v: {f"{r.name}s": partial(r.run, v) for r in resources} for v in _VERBS}
        costs = await interleave("Resources", cells, rounds)
    return comparison("Other resources", NOTE, only("cpu", costs), "ms")


@asynccontextmanager
async def _served(database: URL) -> AsyncIterator[list[Resource]]:
    engine = create_engine(database)
    SQLModel.metadata.create_all(engine)  # no migration makes the table of the example
    engine.dispose()
    names = sorted(CREATE, key=lambda name: (name != "task", name))
    async with serving("benchmarks.resources:app", database) as server:
        url = f"http://127.0.0.1:{server.port}"
        with httpx.Client(base_url=url, headers=identity.headers(_OWNER)) as client:
            yield [Resource(name, server, client) for name in names]


NOTE = (
    "Processor time of this project's server for a request to each resource. The README's example"
    " has more fields, and a key to a task; what is added is measured by itself."
)
