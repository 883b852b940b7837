"""A real PostgreSQL for the run, a database for each worker, new owners for each test."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
import structlog
from fastapi.dependencies.utils import SolvedDependency, solve_dependencies
from sqlalchemy import URL, make_url

from app.config import Settings
from app.development.embedded import embedded_postgres

pytest.register_assert_rewrite("tests.support")  # so that what fails there shows its values

from tests.support.logs import Logs, captured
from tests.support.migrations import MakeDatabase, migrated
from tests.support.owners import unowned
from tests.support.postgres import POOLER, partition, pgbouncer
from tests.support.server import Server, finish_steps, serve
from tests.support.wire import SENT

DEPLOYMENTS = [
    pytest.param("plain", id=pytest.HIDDEN_PARAM),
    pytest.param("pooled"),  # through PgBouncer, as with the URL that Neon gives first
    pytest.param("partitioned"),  # with tables that are partitioned by their owner
]


def pytest_xdist_auto_num_workers() -> int:
    """As many workers as there are cores: with more, those that measure time would wait for one."""
    return os.cpu_count() or 1


def pytest_configure(config: pytest.Config) -> None:
    """Start PostgreSQL, once for all workers, unless TEST_DATABASE_URL names one."""
    for name in Settings.model_fields:
        os.environ.pop(name.upper(), None)
    if hasattr(config, "workerinput") or "TEST_DATABASE_URL" in os.environ:
        return
    stack = ExitStack()
    config.add_cleanup(stack.close)
    folder = stack.enter_context(TemporaryDirectory())
    url = stack.enter_context(embedded_postgres(Path(folder), {"fsync": "off"}))
    os.environ["TEST_DATABASE_URL"] = url.render_as_string(hide_password=False)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what uses the application, or its database, in each deployment."""
    if "deployment" in metafunc.fixturenames:
        plain = metafunc.definition.get_closest_marker("plain")
        deployments = DEPLOYMENTS[:1] if plain else DEPLOYMENTS
        metafunc.parametrize("deployment", deployments, indirect=True, scope="session")


@pytest.fixture(scope="session")
def make_database() -> Iterator[MakeDatabase]:
    """A function that makes an empty database, which is gone after the run."""
    postgres = make_url(os.environ["TEST_DATABASE_URL"]).set(drivername="postgresql")
    names = []
    with psycopg.connect(
        postgres.render_as_string(hide_password=False), autocommit=True
    ) as connection:

        def make() -> URL:
            names.append(f"test_{uuid4().hex}")
            connection.execute(f"CREATE DATABASE {names[-1]}")
            return postgres.set(drivername="postgresql+psycopg", database=names[-1])

        yield make
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def deployment(request: pytest.FixtureRequest) -> str:
    """How the application is deployed: one of `DEPLOYMENTS`."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def database(make_database: MakeDatabase, deployment: str) -> URL:
    """A database at the newest migration, with the table of the example resource."""
    url = migrated(make_database())
    if deployment == "partitioned":
        partition(url)
    return url


@pytest.fixture(scope="session")
def server(database: URL, deployment: str) -> Iterator[Server]:
    """The application, on a database of its own."""
    with ExitStack() as stack:
        if deployment == "pooled":
            database = stack.enter_context(pgbouncer(database)).set(host=POOLER)
        yield stack.enter_context(serve(database))


@pytest.fixture(autouse=True)
def every_statement_has_an_owner() -> Iterator[None]:
    """Fail a test in which an application touched an owned table without an owner."""
    before = len(SENT)
    yield
    assert unowned(SENT[before:]) == []


@pytest.fixture(scope="session", autouse=True)
def nothing_is_logged() -> Iterator[None]:
    """Keep the applications in this process from writing logs. Those in others do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.kit.api.logs.configure", lambda _level: None)
        structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
        yield


@pytest.fixture
def logs() -> Iterator[Logs]:
    """What the application logs, from here on."""
    finish_steps()  # those of the tests before this one
    with captured() as entries:
        yield entries


@pytest.fixture
def solved(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The paths of the routes whose dependencies FastAPI solves, from here on."""
    paths: list[str | None] = []

    async def solve(**arguments: Any) -> SolvedDependency:
        paths.append(arguments["dependant"].path)
        return await solve_dependencies(**arguments)

    monkeypatch.setattr("fastapi.routing.solve_dependencies", solve)
    return paths


@pytest.fixture
def owner() -> str:
    """Somebody who has nothing yet."""
    return f"owner-{uuid4()}"


@pytest.fixture
def alice(server: Server, owner: str) -> Iterator[httpx.Client]:
    """A client of somebody who has nothing yet."""
    with server.client(owner) as client:
        yield client


@pytest.fixture
def bob(server: Server) -> Iterator[httpx.Client]:
    """A client of somebody else."""
    with server.client(f"stranger-{uuid4()}") as client:
        yield client


@pytest.fixture
def nobody(server: Server) -> Iterator[httpx.Client]:
    """A client that does not say who it speaks for."""
    with server.client() as client:
        yield client
