"""Settings of a database change no answer, or are an outage with its reason in the log."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import URL, ColumnElement, Date, Double, literal_column, text
from sqlmodel import select
from sqlmodel.sql.sqltypes import UTCDateTime

from app.kit.db.compiled import OWNER, CompiledStatement
from app.kit.db.crud import OwnedCRUD
from app.kit.db.database import Database
from app.kit.models.durations import parse_duration
from tests.support import operations
from tests.support.courses import COURSES, SHIFT, Course
from tests.support.crud import run
from tests.support.database import connect
from tests.support.logs import Logs
from tests.support.migrations import MakeDatabase, migrated
from tests.support.server import Server, serve
from tests.support.tasks import TASKS, create

WITHOUT_INFLUENCE = {
    "datestyle": "SQL, DMY",
    "intervalstyle": "iso_8601",
    "timezone": "Asia/Tokyo",
    "client_encoding": "latin1",
    "extra_float_digits": "-10",
    "standard_conforming_strings": "off",
    "default_transaction_isolation": "serializable",
}
OUTAGES = {
    "search_path": ("elsewhere", "search_path (elsewhere) lacks", "does not exist"),
    "default_transaction_read_only": ("on", "transactions are read only", "read-only transaction"),
}
TITLE = r"Żółć молоко 牛奶 \x20 'quoted' 01/02/2026"
OF_A_COURSE = {
    "pause": "-P1DT2H0.5S",
    "lasts": "P400DT1H1.000001S",
    "begins": "23:59:59.999999",
    "balance": "-0.10000000",
    "fees": ["0.10"],
    "tags": [TITLE[:20]],
    "details": {TITLE: [0.1, 1e-7, TITLE]},
}

each_without_influence = pytest.mark.parametrize("setting", WITHOUT_INFLUENCE)
each_style = pytest.mark.parametrize(
    "style", ["iso_8601", "postgres", "postgres_verbose", "sql_standard"]
)


@pytest.fixture(scope="module")
def database(make_database: MakeDatabase) -> URL:
    """A database whose settings no other test sees."""
    return migrated(make_database())


@contextmanager
def served_with(database: URL, setting: str, value: str) -> Iterator[Server]:
    """Serve the application on a database while it has a setting."""
    alter = f"ALTER DATABASE {database.database}"
    with connect(database) as connection:
        connection.execute(f"{alter} SET {setting} = '{value}'")
        try:
            with serve(database, database_timeout=2) as server:
                yield server
        finally:
            connection.execute(f"{alter} RESET {setting}")


@each_without_influence
def test_a_setting_has_no_influence_on_requests(database: URL, owner: str, setting: str) -> None:
    owner = rf"{owner}\'%s"
    with (
        served_with(database, setting, WITHOUT_INFLUENCE[setting]) as server,
        server.client(owner) as alice,
    ):
        assert alice.get("/health/ready").status_code == 200
        task = create(alice, TITLE)
        item = f"{TASKS}/{task['id']}"
        assert task["title"] == TITLE
        assert alice.get(item).json() == task
        assert alice.get(TASKS, params={"q": "МОЛОКО"}).json()["items"] == [task]
        course = operations.create(alice, Course.__table__, **OF_A_COURSE)  # type: ignore[attr-defined]
        assert course == {**course, **OF_A_COURSE}
        assert alice.get(COURSES).json()["items"] == [course]
        assert alice.post(f"{item}/toggle").json()["completed"] is True
        as_created = {"If-Match": alice.get(item).headers["etag"]}
        assert alice.patch(item, json={"title": "x"}, headers=as_created).status_code == 200
        assert alice.delete(item).status_code == 204


@each_without_influence
def test_a_setting_has_no_influence_on_what_a_statement_returns(
    database: URL, setting: str
) -> None:
    columns: list[ColumnElement[Any]] = [
        literal_column("timestamptz '9999-12-31 23:59:59.999999+00'", UTCDateTime).label("moment"),
        literal_column("date '2026-02-01'", Date).label("day"),
        literal_column("0.1::float8 + 0.2", Double).label("number"),
    ]
    statement = CompiledStatement(select(*columns).where(OWNER == "alice"))

    async def rows(url: URL) -> list[dict[str, Any]]:
        database = Database(url, pool_size=1, timeout=5, prepared_statements=True)
        try:
            return await database.rows(statement, {}, owner="alice", repeatable=False)
        finally:
            await database.close()

    with served_with(database, setting, WITHOUT_INFLUENCE[setting]) as server:
        (row,) = asyncio.run(rows(server.app.state.settings.database_url))

    assert row == {
        "moment": datetime.max.replace(tzinfo=UTC),
        "day": date(2026, 2, 1),
        "number": 0.1 + 0.2,
    }


@each_without_influence
def test_a_setting_has_no_influence_on_a_transaction(
    database: URL, owner: str, setting: str
) -> None:
    async def values(crud: OwnedCRUD) -> tuple[Any, ...]:
        async with crud.transaction() as session:
            connection = await session.connection()
            result = await connection.execute(
                text(
                    "SELECT timestamptz '9999-12-31 23:59:59.999999+00', date '2026-02-01',"
                    " interval '1 day 2 hours', 0.1::float8 + 0.2, CAST(:title AS text),"
                    " current_setting('app.owner')"
                ),
                {"title": TITLE},
            )
            return tuple(result.one())

    owner = rf"{owner}\'%s"
    with served_with(database, setting, WITHOUT_INFLUENCE[setting]) as server:
        read = run(server, owner, values)

    assert read == (
        datetime.max.replace(tzinfo=UTC),
        date(2026, 2, 1),
        timedelta(days=1, hours=2),
        0.1 + 0.2,
        TITLE,
        owner,
    )


@each_style
def test_a_style_of_intervals_has_no_influence(database: URL, owner: str, style: str) -> None:
    lasts, shift = timedelta(days=1, seconds=-1), timedelta(days=-1, seconds=1, microseconds=1)

    async def copy(crud: OwnedCRUD) -> tuple[timedelta, timedelta, timedelta | None]:
        async with crud.transaction() as session:
            course = (await session.exec(select(Course))).one()
            read = (course.lasts, course.shift, course.pause)
            course.lasts, course.pause = lasts, shift
            return read

    with served_with(database, "intervalstyle", style) as server, server.client(owner) as alice:
        created = operations.create(alice, Course.__table__, pause="-P1DT0.5S")  # type: ignore[attr-defined]
        read = run(server, owner, copy)
        (course,) = alice.get(COURSES).json()["items"]

    assert read == (parse_duration(created["lasts"]), SHIFT, timedelta(days=-1, seconds=-0.5))
    assert (course["lasts"], course["pause"]) == ("PT23H59M59S", "-PT23H59M58.999999S")


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_writes_at_once_all_succeed_in_a_stricter_isolation(
    database: URL, owner: str, isolation: str
) -> None:
    with (
        served_with(database, "default_transaction_isolation", isolation) as server,
        server.client(owner) as alice,
        ThreadPoolExecutor(10) as threads,
    ):
        item = f"{TASKS}/{create(alice)['id']}"
        statuses = threads.map(lambda _: alice.post(f"{item}/toggle").status_code, range(101))
        assert {*statuses} == {200}
        assert alice.get(item).json()["completed"] is True


@pytest.mark.parametrize("setting", OUTAGES)
def test_a_setting_that_stands_in_the_way_is_an_outage_with_its_reason(
    database: URL, owner: str, logs: Logs, setting: str
) -> None:
    value, *reasons = OUTAGES[setting]
    with served_with(database, setting, value) as server, server.client(owner) as alice:
        answers = [alice.get("/health/ready"), alice.post(TASKS, json={"title": "x"})]

    assert [answer.status_code for answer in answers] == [503, 503]
    causes = [entry["cause"] for entry in logs if "cause" in entry]
    assert all(reason in cause for reason, cause in zip(reasons, causes, strict=True)), causes
