"""What is compared, and what it is asked to do."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from benchmarks.dataset import Row
from benchmarks.load import Request

TASKS = "/api/v1/tasks"


@dataclass(frozen=True)
class Contender:
    """An application.

    Attributes:
        name: what the tables call it.
        application: what uvicorn is told.
        page: the query for the first 20 tasks of a list, the newest first.
        task: where a task is.
    """

    name: str
    application: str
    page: str = "limit=20"
    task: str = "{row.id}"


OURS = Contender("this project", "app.main:app")
CONTENDERS = (
    OURS,
    Contender("bare psycopg", "benchmarks.peers.bare_psycopg:app"),
    Contender("handwritten SQLModel", "benchmarks.peers.handwritten:app"),
    Contender(
        "stock FastCRUD",
        "benchmarks.peers.stock_fastcrud:app",
        page="offset=0&limit=20&sort=-id",
        task="{row.owner}/{row.id}",
    ),
)
OPERATIONS = ("get", "list 20", "create", "update", "toggle", "delete")
"""Delete comes last: what it deletes has been created before."""


def requests(operation: str, contender: Contender, rows: Iterable[Row]) -> Iterator[Request]:
    """Give requests for an operation: on each of the rows, or by its owner."""
    for row in rows:
        yield _request(operation, contender, row)


def _request(operation: str, contender: Contender, row: Row) -> Request:
    task = f"{TASKS}/{contender.task.format(row=row)}"
    match operation:
        case "get":
            return Request(row.owner, "GET", task)
        case "list 20":
            return Request(row.owner, "GET", f"{TASKS}?{contender.page}")
        case "create":
            body = '{"title": "Buy milk", "description": "Two litres."}'
            return Request(row.owner, "POST", TASKS, body)
        case "update":
            return Request(row.owner, "PATCH", task, '{"title": "Buy oat milk"}')
        case "toggle":
            return Request(row.owner, "POST", f"{task}/toggle")
        case "delete":
            return Request(row.owner, "DELETE", task)
    raise ValueError(operation)
