"""Nothing acknowledged is lost when the API and PostgreSQL are killed, and a loss is noticed."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.running.chaos import (
    LossError,
    Task,
    Write,
    Writer,
    change,
    chaos,
    chosen_id,
    client,
    creation,
    deletion,
    toggle,
    verify,
)
from tests.support.server import Server

pytestmark = pytest.mark.plain


def test_nothing_acknowledged_is_lost() -> None:
    result = chaos(seed=1, seconds=1)

    assert min(result.kills["the API"], result.kills["PostgreSQL"]) >= 1
    assert result.acknowledged > 10
    assert result.unknown > 0


@dataclass
class Written:
    """What two owners have written, and the database that holds it."""

    url: str
    database: str
    writers: list[Writer]
    task: Task
    """One of the first owner's."""

    def verify(self) -> None:
        """Look for losses."""
        verify(self.url, self.database, self.writers)

    def change_unseen(self, statement: str) -> None:
        """Change the task behind its owner's back."""
        owner, other = (writer.owner for writer in self.writers)
        values = {"owner": owner, "other": other, "id": self.task["id"]}
        with psycopg.connect(self.database) as connection:
            assert connection.execute(statement.encode(), values).rowcount == 1

    def attempt(self, write: Write, *, arrives: bool) -> None:
        """Write to the task, and get no answer."""
        writer = self.writers[0]
        with (
            client(self.url, writer.owner) as http,
            httpx.Client(base_url=self.url, transport=NoAnswer(http, arrives)) as broken,
        ):
            assert not writer.attempt(broken, write)


@dataclass
class NoAnswer(httpx.BaseTransport):
    """A connection that breaks before the answer, or before the request has arrived."""

    http: httpx.Client
    arrives: bool

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Break."""
        if self.arrives:
            headers = {**self.http.headers, **request.headers}
            self.http.request(
                request.method, request.url, content=request.read(), headers=headers
            ).raise_for_status()
        raise httpx.ReadError("broken")


@pytest.fixture
def written(server: Server) -> Written:
    """Some tasks of two owners."""
    writers = [Writer(f"owner-{uuid4()}", 0, Random(1)) for _ in range(2)]
    for writer in writers:
        with client(server.url, writer.owner) as http:
            for number in range(3):
                new = creation(chosen_id(0, number), f"{writer.owner} {number}")
                assert writer.attempt(http, new)
    url = server.wire.upstream.set(drivername="postgresql")
    task = next(iter(writers[0].rows.values())).possible[0]
    assert task is not None
    return Written(server.url, url.render_as_string(hide_password=False), writers, task)


MINE = "WHERE owner_id = %(owner)s AND id = %(id)s"
COPY = (
    "INSERT INTO task (owner_id, id, created_at, updated_at, title, description, completed)"
    " SELECT {owner}, gen_random_uuid(), created_at, updated_at, title, description, completed"
    f" FROM task {MINE}"
)
LOSSES = {
    "a lost create": f"DELETE FROM task {MINE}",
    "a lost toggle": f"UPDATE task SET completed = NOT completed {MINE}",
    "half an update": f"UPDATE task SET title = title || ' and more' {MINE}",
    "a write that shows in its time only": (
        f"UPDATE task SET updated_at = updated_at + interval '1 microsecond' {MINE}"
    ),
    "a create that came twice": COPY.format(owner="owner_id"),
    "a copy for somebody else": COPY.format(owner="%(other)s"),
    "a task that moved": (
        f"UPDATE task SET owner_id = %(other)s, id = gen_random_uuid() {MINE}"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_noticed(written: Written, name: str) -> None:
    written.verify()

    written.change_unseen(LOSSES[name])

    with pytest.raises(LossError, match=r"lost: [1-9]"):
        written.verify()


@pytest.mark.parametrize("write", [change, toggle, deletion])
@pytest.mark.parametrize("arrives", [False, True])
def test_a_write_without_an_answer_may_have_happened(
    written: Written, write: Callable[[Task, str], Write], *, arrives: bool
) -> None:
    written.attempt(write(written.task, "changed"), arrives=arrives)

    written.verify()


def test_half_of_a_write_without_an_answer_is_noticed(written: Written) -> None:
    written.attempt(change(written.task, "changed"), arrives=False)

    written.change_unseen(f"UPDATE task SET title = 'changed', updated_at = now() {MINE}")

    with pytest.raises(LossError, match="lost: 1"):
        written.verify()


def test_a_write_without_an_answer_that_happened_twice_is_noticed(written: Written) -> None:
    written.attempt(toggle(written.task, ""), arrives=True)

    written.change_unseen(f"UPDATE task SET completed = NOT completed, updated_at = now() {MINE}")

    with pytest.raises(LossError, match="lost: 1"):
        written.verify()
