"""Kill the API and PostgreSQL while they write, and look for losses.

``python -m tests.running.chaos SEED SECONDS``. Each task has one writer, who so knows what must be
stored: what was acknowledged last or, if the last write got no answer, what it would have made of
it.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, NamedTuple
from unittest import mock
from uuid import UUID

import httpx
import psutil
import psycopg
from alembic.command import upgrade
from alembic.config import Config
from sqlalchemy import URL

from app.development.embedded import embedded_postgres
from tests.support import identity
from tests.support.repository import ROOT
from tests.support.tasks import TASKS

VERSION = {"updated_at", "etag"}
OWNERS = ("alice", "bob", "carol")
WRITERS_OF_ONE_OWNER = 3
MOST_TASKS_OF_ONE_WRITER = 6
MOST_WRITES_BEFORE_A_KILL = 100
PATIENCE = 3
"""How many writes in a row may go without an answer before a writer gives up."""
TIMEOUT = 30
"""Seconds until an answer, or an end or a start of a process, is too late."""

Task = dict[str, Any]


class LossError(Exception):
    """What was acknowledged is lost, or the ability to answer is."""


class Result(NamedTuple):
    """What happened.

    Attributes:
        kills: how many there were of what.
        acknowledged: how many writes were.
        unknown: how many writes got no answer.
        happened: how many of these had happened all the same.
    """

    kills: Counter[str]
    acknowledged: int
    unknown: int
    happened: int


class Write(NamedTuple):
    """A request that changes one task.

    Attributes:
        done: the status of success.
        done_before: the status of a second attempt, if the first one has succeeded.
        outcome: a part of the task as it is afterwards; None if there is none.
    """

    id: str
    method: str
    path: str
    body: Task | None
    done: int
    done_before: int
    outcome: Task | None


def creation(id_: str, label: str) -> Write:
    """The creation of a task."""
    task = {"id": id_, "title": label, "description": f"{label}, created", "completed": False}
    return Write(id_, "POST", TASKS, task, 201, 409, task)


def change(task: Task, label: str) -> Write:
    """A change of several fields, of which there must not be half."""
    changes = {"title": label, "description": label, "completed": not task["completed"]}
    path = f"{TASKS}/{task['id']}"
    return Write(task["id"], "PATCH", path, changes, 200, 412, after(task, changes))


def toggle(task: Task, _label: str) -> Write:
    """The completion of a task, or its reopening."""
    flipped = {"completed": not task["completed"]}
    path = f"{TASKS}/{task['id']}/toggle"
    return Write(task["id"], "POST", path, None, 200, 412, after(task, flipped))


def deletion(task: Task, _label: str) -> Write:
    """The end of a task."""
    return Write(task["id"], "DELETE", f"{TASKS}/{task['id']}", None, 204, 404, None)


def after(task: Task, changes: Task) -> Task:
    """What is known of a task after a change: all but its version."""
    return {key: value for key, value in {**task, **changes}.items() if key not in VERSION}


def fits(found: Task | None, possible: Task | None) -> bool:
    """Tell whether a stored task, or none, is one that is possible."""
    if found is None or possible is None:
        return found is possible
    return possible.items() <= found.items()


@dataclass
class Row:
    """A task as its writer knows it.

    Attributes:
        possible: what may be stored. First what was acknowledged last, which is a whole task.
        tag: the entity tag that was acknowledged last.
        doubt: the write that got no answer.
    """

    possible: list[Task | None] = field(default_factory=lambda: [None])
    tag: str | None = None
    doubt: Write | None = None


@dataclass
class Writer:
    """One of an owner's clients, and the tasks that it alone writes."""

    owner: str
    number: int
    random: Random
    rows: dict[str, Row] = field(default_factory=dict)
    attempts: int = 0
    acknowledged: int = 0
    unknown: int = 0
    happened: int = 0

    def write(self, http: httpx.Client) -> bool:
        """Write something, and tell whether there was an answer."""
        return self.attempt(http, self._choose())

    def attempt(self, http: httpx.Client, write: Write) -> bool:
        """Write this, and tell whether there was an answer."""
        row = self.rows.setdefault(write.id, Row())
        response = send(http, write, self.random.choice([row.tag, None]))
        if response is None:
            row.possible.append(write.outcome)
            row.doubt = write
            self.unknown += 1
            return False
        self._acknowledge(write, response)
        return True

    def write_until_there_is_no_answer(self, url: str, acknowledge: Callable[[], None]) -> None:
        """Write, and call ``acknowledge`` at each answer, until patience ends."""
        unanswered = 0
        with client(url, self.owner) as http:
            while unanswered < PATIENCE:
                if self.write(http):
                    unanswered = 0
                    acknowledge()
                else:
                    unanswered += 1

    def retry(self, http: httpx.Client) -> None:
        """Send some of the writes that got no answer again, as a client would."""
        for row in list(self.rows.values()):
            if row.doubt is None or self.random.random() < 0.5:
                continue
            response = send(http, row.doubt, row.tag)
            if response is None:
                raise LossError(f"{self.owner} gets no answer, though everything runs again")
            if response.status_code == row.doubt.done_before:
                row.possible, row.doubt = [row.doubt.outcome], None
                self.happened += 1
            else:
                self._acknowledge(row.doubt, response)

    def check(self, http: httpx.Client, stored: dict[str, Task]) -> Iterator[str]:
        """Take the writer's tasks out of what is stored, and give a sentence on each loss."""
        for id_, row in list(self.rows.items()):
            found = stored.pop(id_, None)
            if not any(fits(found, possible) for possible in row.possible):
                expected = " or ".join(str(possible) for possible in row.possible)
                yield f"{self.owner} has {found} where it has to be {expected}"
                continue
            if row.doubt is not None and found != row.possible[0]:
                self.happened += 1
            if found is None:
                del self.rows[id_]
            else:
                yield from self._check_tag(http, row, found)
                row.possible, row.doubt = [found], None

    def _choose(self) -> Write:
        """Choose a task and what to do with it, or make a new one."""
        self.attempts += 1
        label = f"{self.owner} {self.number}, write {self.attempts}"
        known = [
            row.possible[0]
            for row in self.rows.values()
            if row.doubt is None and row.possible[0] is not None
        ]
        if not known or (len(self.rows) < MOST_TASKS_OF_ONE_WRITER and self.random.random() < 0.4):
            return creation(chosen_id(self.number, self.attempts), label)
        kind = self.random.choice([change, toggle, deletion])
        return kind(self.random.choice(known), label)

    def _acknowledge(self, write: Write, response: httpx.Response) -> None:
        """Note a success, and refuse any other answer."""
        row = self.rows[write.id]
        asked = f"{self.owner} asked for {write.method} {write.path} of {row.possible}"
        if response.status_code != write.done:
            raise LossError(f"{asked} and got {response.status_code} {response.text}")
        self.acknowledged += 1
        if write.outcome is None:
            del self.rows[write.id]
            return
        task, tag = response.json(), response.headers["etag"]
        if not fits(task, write.outcome) or tag == row.tag:
            raise LossError(f"{asked} and got {task} with {tag}")
        self.rows[write.id] = Row([task], tag)

    def _check_tag(self, http: httpx.Client, row: Row, found: Task) -> Iterator[str]:
        """The entity tag is that which was acknowledged, if the task is, and else another."""
        headers = {} if row.tag is None else {"If-None-Match": row.tag}
        response = http.get(f"{TASKS}/{found['id']}", headers=headers)
        answer = response.status_code, response.json() if response.content else None
        expected = (304, None) if found == row.possible[0] else (200, found)
        if answer != expected:
            yield f"{self.owner} gets {answer} for {headers} where it has to be {expected}"
        row.tag = response.headers.get("etag")


def chosen_id(writer: int, number: int) -> str:
    """A UUIDv7 of a writer's own. The owners choose the same ones, as an id is theirs alone."""
    milliseconds, version, variant = 1_767_225_600_000, 7, 2
    return str(UUID(int=milliseconds << 80 | version << 76 | variant << 62 | writer << 32 | number))


def client(url: str, owner: str) -> httpx.Client:
    """A client that speaks for an owner."""
    headers = identity.headers(owner)
    return httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT, verify=False)


def send(http: httpx.Client, write: Write, tag: str | None) -> httpx.Response | None:
    """Send a write, and return the answer, or None if nobody knows whether it happened.

    No answer is a broken connection, or a 503.

    Raises:
        httpx.TimeoutException: it took too long, which it must not even without a database.
    """
    headers = {} if tag is None else {"If-Match": tag}
    try:
        response = http.request(write.method, write.path, json=write.body, headers=headers)
    except (httpx.NetworkError, httpx.RemoteProtocolError):
        return None
    return None if response.status_code == 503 else response


def whole_list(http: httpx.Client) -> list[Task]:
    """All tasks of an owner, page by page."""
    tasks: list[Task] = []
    query: dict[str, Any] = {"limit": 10}
    while True:
        response = http.get(TASKS, params=query)
        if response.status_code != 200:
            raise LossError(f"the list got {response.status_code} {response.text}")
        page = response.json()
        tasks += page["items"]
        if page["next_cursor"] is None:
            return tasks
        query["cursor"] = page["next_cursor"]


def verify(url: str, database: str, writers: Sequence[Writer]) -> int:
    """Check that what is stored is what was acknowledged, and return how many tasks that is.

    Args:
        url: where the API is.
        database: the PostgreSQL behind it.
        writers: all that wrote for their owners. What they did not know they do afterwards.

    Raises:
        LossError: a task is missing, changed, twice there, or there for no reason.
    """
    losses: list[str] = []
    counts: dict[str, int] = {}
    for owner in sorted({writer.owner for writer in writers}):
        with client(url, owner) as http:
            tasks = whole_list(http)
            stored = {task["id"]: task for task in tasks}
            for writer in writers:
                if writer.owner == owner:
                    losses += writer.check(http, stored)
        losses += [f"{owner} has {task}, which is nobody's" for task in stored.values()]
        counts[owner] = len(tasks)
    counted = count(database, list(counts))
    if counted != counts:
        losses.append(f"the lists have {counts} tasks, and the database {counted}")
    if losses:
        raise LossError("\n".join([*losses, f"lost: {len(losses)}"]))
    return sum(counts.values())


def count(database: str, owners: list[str]) -> dict[str, int]:
    """How many tasks each owner has in the database."""
    statement = "SELECT count(*) FROM task WHERE owner_id = %s"
    with psycopg.connect(database) as connection:
        rows = {owner: connection.execute(statement, [owner]).fetchone() for owner in owners}
    return {owner: row[0] if row else 0 for owner, row in rows.items()}


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Return once a condition holds that nothing tells of by itself."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise LossError(f"{what} did not come within {TIMEOUT} seconds")
        time.sleep(0.05)


def has_ended(process: psutil.Process) -> bool:
    """Tell whether a process does nothing any more. Its parent may not have noticed yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class PostgreSQL:
    """A running embedded PostgreSQL, to kill and to start again."""

    name = "PostgreSQL"

    def __init__(self, folder: Path, url: URL) -> None:
        self._folder = folder
        self._url = url
        self._killed: list[psutil.Process] = []
        plain = url.set(drivername="postgresql")
        self.url = plain.render_as_string(hide_password=False)

    def kill(self) -> None:
        """Kill the postmaster. Its children notice, and end by themselves."""
        with psycopg.connect(self.url) as connection:
            postmaster = psutil.Process(connection.info.backend_pid).parent()
        assert postmaster is not None
        postmaster.suspend()  # else it could start one more, which nobody would wait for
        self._killed = [postmaster, *postmaster.children()]
        postmaster.kill()

    def restart(self) -> None:
        """Start it again. The API is not told."""
        wait_until(lambda: all(map(has_ended, self._killed)), "the end of PostgreSQL's processes")
        with embedded_postgres(self._folder) as url:  # it runs until its first user stops it
            assert url == self._url

    def wait_until_alone(self) -> None:
        """Return once no client is connected: what was sent before has happened, or never will."""
        others = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        with psycopg.connect(self.url, autocommit=True) as connection:
            wait_until(
                lambda: connection.execute(others).fetchone() == (0,), "the end of all connections"
            )


class Api:
    """The API in a process of its own, to kill and to start again on the same port."""

    name = "the API"

    def __init__(self, folder: Path, database: PostgreSQL) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._folder = folder
        self._database = database
        self._process = self._start()

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()

    def restart(self) -> None:
        """Start it again, once nothing of its predecessor can happen any more."""
        self.stop()
        self._database.wait_until_alone()
        self._process = self._start()
        self.wait_until_ready()

    def stop(self) -> None:
        """End the process for good."""
        self._process.kill()
        self._process.wait(TIMEOUT)

    def wait_until_ready(self) -> None:
        """Return once it answers."""
        wait_until(self._is_ready, "an answer of the API")

    def _is_ready(self) -> bool:
        if self._process.poll() is not None:
            raise LossError(f"the API did not start:\n{self._log.read_text()[-2000:]}")
        try:
            return httpx.get(f"{self.url}/health/ready", verify=False).status_code == 200
        except httpx.TransportError:
            return False

    @property
    def _log(self) -> Path:
        return self._folder / "api.log"

    def _start(self) -> subprocess.Popen[bytes]:
        program = [sys.executable, "-m", "uvicorn", "app.main:app", "--no-proxy-headers"]
        environment = {
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": self._database.url,
            # Writers that wait for a database that is down until they give up would take it all.
            "DATABASE_TIMEOUT": "0.5",
        }
        with self._log.open("a") as log:
            return subprocess.Popen(
                [*program, f"--port={self._port}"],
                cwd=self._folder,  # where there is no .env
                env={**os.environ, **environment},
                stdout=log,
                stderr=log,
            )


class Countdown:
    """Does something at the call whose number it is given, and nothing at all others."""

    def __init__(self, calls: int, action: Callable[[], None]) -> None:
        self.left = calls
        self._action = action
        self._lock = Lock()

    def __call__(self) -> None:
        with self._lock:
            self.left -= 1
            now = self.left == 0
        if now:
            self._action()


@contextmanager
def running() -> Iterator[tuple[Api, PostgreSQL]]:
    """Run both on a folder of their own, with data that survives a crash, and leave nothing."""
    with TemporaryDirectory() as name, embedded_postgres(Path(name)) as url:
        database = PostgreSQL(Path(name), url)
        api = Api(Path(name), database)
        try:
            both = {"DATABASE_URL": database.url, "DATABASE_URL_UNPOOLED": database.url}
            with mock.patch.dict(os.environ, both):
                upgrade(Config(toml_file=ROOT / "pyproject.toml"), "head")
            api.wait_until_ready()
            yield api, database
        finally:
            api.stop()


def kill_under_load(
    victim: Api | PostgreSQL, writers: Sequence[Writer], url: str, writes: int
) -> None:
    """Kill one of both after so many acknowledged writes, with others on their way.

    It returns when every writer has noticed.
    """
    countdown = Countdown(writes, victim.kill)
    with ThreadPoolExecutor(len(writers)) as pool:
        ends = [
            pool.submit(writer.write_until_there_is_no_answer, url, countdown) for writer in writers
        ]
    for end in ends:
        end.result()
    if countdown.left > 0:
        raise LossError(
            f"nothing was killed, but {countdown.left} of {writes} writes had no answer"
        )


def chaos(seed: int, seconds: float) -> Result:
    """Kill the API and PostgreSQL in turn, each at least once, and check after each kill.

    Args:
        seed: the same seed makes the same choices. What is on its way at a kill may still differ.
        seconds: when to stop.

    Raises:
        LossError: what was acknowledged is lost, or the ability to answer is.
    """
    random, kills = Random(seed), Counter[str]()
    writers = [
        Writer(owner, number, Random(f"{seed} {owner} {number}"))
        for owner in OWNERS
        for number in range(WRITERS_OF_ONE_OWNER)
    ]
    with running() as (api, database):
        end = time.monotonic() + seconds
        victims: tuple[Api | PostgreSQL, ...] = (api, database)
        for victim in cycle(victims):
            if kills.total() >= len(victims) and time.monotonic() > end:
                break
            writes = random.randint(1, MOST_WRITES_BEFORE_A_KILL)
            kill_under_load(victim, writers, api.url, writes)
            victim.restart()
            for writer in writers:
                with client(api.url, writer.owner) as http:
                    writer.retry(http)
            tasks = verify(api.url, database.url, writers)
            kills[victim.name] += 1
            say(f"Killed {victim.name} after {writes} writes: all {tasks} tasks are as they were")
    return Result(
        kills,
        acknowledged=sum(writer.acknowledged for writer in writers),
        unknown=sum(writer.unknown for writer in writers),
        happened=sum(writer.happened for writer in writers),
    )


def say(line: str) -> None:
    """Print a line now."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Cause chaos for a while."""
    seed, seconds = map(int, sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leave as on Ctrl-C: stop both
    say(f"{len(OWNERS)} owners write for {seconds} seconds; the seed is {seed}")
    try:
        kills, acknowledged, unknown, happened = chaos(seed, seconds)
    except (LossError, httpx.HTTPError) as error:
        sys.exit(f"{type(error).__name__}: {error}\nThe seed was {seed}")
    counted = ", ".join(f"{number} of {name}" for name, number in kills.items())
    say(
        f"Kills: {counted}. Writes: {acknowledged} acknowledged, 0 lost;"
        f" {unknown} without an answer, of which {happened} happened."
    )


if __name__ == "__main__":
    main()
