"""What is compared: the candidates, and the operations that each of them does."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.dataset import Row
from benchmarks.load import Request

TASKS = "/api/v1/tasks"


@dataclass(frozen=True)
class Candidate:
    """An application.

    Attributes:
        name: what the tables call it.
        application: what uvicorn is told, or a program of Node.
        task: the last part of a task's path.
        paths: the operations that have another path than `OPERATIONS` says.
    """

    name: str
    application: str
    task: str = "{id}"
    paths: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    """A kind of request.

    Attributes:
        name: what the tables call it.
        method: its method.
        path: what follows the path of the collection; ``{task}`` stands for a task.
        body: its body.
    """

    name: str
    method: str
    path: str = ""
    body: str = ""

    @property
    def creates(self) -> bool:
        """Whether it makes tasks."""
        return self.method == "POST" and "{task}" not in self.path

    def request(self, candidate: Candidate, row: Row) -> Request:
        """Return the request to a candidate for a task, or for its owner."""
        task = candidate.task.format(owner=row.owner, id=row.id)
        path = candidate.paths.get(self.name, self.path).replace("{task}", task)
        return Request(row.owner, self.method, TASKS + path, self.body)


OURS = Candidate("this project", "app.main:app")
CANDIDATES = (
    OURS,
    Candidate("bare psycopg", "benchmarks.peers.bare_psycopg:app"),
    Candidate("bare Starlette", "benchmarks.peers.bare_starlette:app"),
    Candidate("handwritten SQLModel", "benchmarks.peers.handwritten:app"),
    Candidate(
        "stock FastCRUD",
        "benchmarks.peers.stock_fastcrud:app",
        task="{owner}/{id}",
        paths={"list 20": "?offset=0&limit=20&sort=-id"},
    ),
    Candidate("Fastify", "benchmarks/peers/fastify/server.mjs"),
)

OPERATIONS = (
    Operation("get", "GET", "/{task}"),
    Operation("list 20", "GET", "?limit=20"),
    Operation("create", "POST", "", '{"title": "Buy milk", "description": "Two litres."}'),
    Operation("update", "PATCH", "/{task}", '{"title": "Buy oat milk"}'),
    Operation("toggle", "POST", "/{task}/toggle"),
    Operation("delete", "DELETE", "/{task}"),
)
"""Delete comes last: it takes what was created before."""
