"""The commands that serve the API, as processes."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx
import pytest

from tests.support import identity
from tests.support.repository import ROOT
from tests.support.tasks import TASKS

PROJECT = {"PYTHONPATH": str(ROOT), "UV_PROJECT": str(ROOT), "UV_NO_SYNC": "1"}
ALICE = identity.headers("alice")


@dataclass
class Process:
    """A command that serves the API, in a process group of its own."""

    popen: subprocess.Popen[str]
    url: str
    log: IO[str]

    def wait_until_ready(self, path: str) -> None:
        """Return once the API answers at a path."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self.popen.poll() is None, self.output()
            try:
                if httpx.get(f"{self.url}{path}").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        pytest.fail("not ready after a minute")

    def end(self, signal_: signal.Signals) -> str:
        """Send a signal to the group, as a terminal does on Ctrl-C, and return the output."""
        os.killpg(self.popen.pid, signal_)
        return self.output()

    def output(self) -> str:
        """Return what it printed, once it has ended."""
        self.popen.wait(30)
        self.log.seek(0)
        return self.log.read()

    def titles(self) -> list[str]:
        """The titles of Alice's tasks."""
        items = httpx.get(f"{self.url}{TASKS}", headers=ALICE).json()["items"]
        return [item["title"] for item in items]

    def create(self, title: str) -> None:
        """Create a task for Alice."""
        response = httpx.post(f"{self.url}{TASKS}", headers=ALICE, json={"title": title})
        assert response.status_code == 201


@contextmanager
def serving(
    command: list[str], folder: Path, *, path: str = "/health/ready", **environment: str
) -> Iterator[Process]:
    """Serve, once there is an answer at a path, and leave nothing behind."""
    with starting(command, folder, **environment) as process:
        process.wait_until_ready(path)
        yield process


@contextmanager
def starting(command: list[str], folder: Path, **environment: str) -> Iterator[Process]:
    """Start to serve on a free port, in a folder without ``.env``, and leave nothing behind."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    environment = {**os.environ, **PROJECT, "PORT": str(port), **environment}
    # A pipe that nobody reads would hold the server up once it is full.
    with (folder / f"{port}.log").open("w+") as log:
        popen = subprocess.Popen(
            [part.replace("$PORT", str(port)) for part in command],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        process = Process(popen, f"http://127.0.0.1:{port}", log)
        try:
            yield process
        finally:
            if popen.poll() is None:
                os.killpg(popen.pid, signal.SIGTERM)
                popen.wait(30)


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once a condition holds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
