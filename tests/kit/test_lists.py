"""A list has what its filters ask for, in the order that is asked for, page by page."""

import httpx
import pytest
from sqlalchemy import URL

from tests.support.database import connect
from tests.support.milestones import MILESTONES, Milestone, reach
from tests.support.paging import pages
from tests.support.problems import assert_problem
from tests.support.server import serve
from tests.support.tasks import NEVER_WAS, create

SORTED_BY = ["created_at", "updated_at", "due", "weight"]
SORTS = [sign + field for field in SORTED_BY for sign in ("", "-")]
CURSORS = [
    "A" * 32, "_" * 32, "z" * 32, "gAAAAAAA" + "0" * 24, "f_________8" + "A" * 21,
    "AAAAAAAA" + "_" * 24,
]  # fmt: skip
NOT_WEIGHTS = ["", "0", "101", "01", "+1", "1.0", " 1", "1_0", "1e1", "-0", "null", "9" * 5000]
NOT_DATES = ["", "0", "null", "2026-02-30", "0000-01-01", "20260101", "2026-01-01T00:00:00"]
BAD_PARAMETERS = [
    *(("status", value) for value in ["", "PLANNED", "planned ", "null"]),
    *(("weight", value) for value in NOT_WEIGHTS),
    *(("due", value) for value in NOT_DATES),
    *(("task_id", value) for value in ["", "1", f"urn:uuid:{NEVER_WAS}", "null"]),
]
DUES = ["0001-01-01", "2026-11-22", "2026-11-22", "9999-12-31", None, None, None, "2026-11-23"]
WEIGHTS = [1, 100, 50, 50, 50, 2, 1, 100]


def names(client: httpx.Client, **parameters: object) -> list[str]:
    """The names in a list, in its order."""
    response = client.get(MILESTONES, params=parameters)  # type: ignore[arg-type]
    assert response.status_code == 200, response.text
    return [item["name"] for item in response.json()["items"]]


def test_a_filter_finds_what_has_the_value(alice: httpx.Client, bob: httpx.Client) -> None:
    one = reach(alice, name="one", status="reached", weight=1, due="2026-11-22")
    reach(alice, name="two", weight=2)
    reach(bob, name="one", status="reached", weight=1, due="2026-11-22")

    assert names(alice, status="reached") == ["one"]
    assert names(alice, status="planned") == ["two"]
    assert names(alice, weight=2) == ["two"]
    assert names(alice, due="2026-11-22") == ["one"]
    assert names(alice, due="2026-11-23") == []
    assert names(alice, task_id=one["task_id"]) == ["one"]
    assert names(alice, task_id=NEVER_WAS) == []
    assert names(alice, task_id=one["task_id"], weight=2) == []


@pytest.mark.plain
@pytest.mark.parametrize(("parameter", "value"), BAD_PARAMETERS)
def test_a_filter_takes_one_form_of_a_value(
    alice: httpx.Client, parameter: str, value: str
) -> None:
    response = alice.get(MILESTONES, params={parameter: value})

    assert_problem(response, 422, f"/query/{parameter}")


@pytest.fixture
def milestones(alice: httpx.Client) -> list[Milestone]:
    """Some milestones, in the order of creation."""
    task_id = create(alice)["id"]
    return [
        reach(alice, task_id=task_id, due=due, weight=weight)
        for due, weight in zip(DUES, WEIGHTS, strict=True)
    ]


@pytest.mark.parametrize("sort", ["due", "-due", "weight", "-weight"])
@pytest.mark.parametrize("limit", [1, 3, 8])
def test_a_sorted_list_shows_each_item_once_and_null_as_the_largest(
    alice: httpx.Client, milestones: list[Milestone], sort: str, limit: int
) -> None:
    field = sort.removeprefix("-")
    expected = sorted(
        milestones,
        key=lambda item: (item[field] is None, item[field] or 0, item["id"]),
        reverse=sort.startswith("-"),
    )

    found = pages(alice, MILESTONES, sort=sort, limit=limit)

    assert found == expected


@pytest.mark.usefixtures("milestones")
@pytest.mark.parametrize("sort", SORTS)
def test_a_sorted_list_takes_any_cursor_of_the_right_form(alice: httpx.Client, sort: str) -> None:
    for cursor in CURSORS:
        response = alice.get(MILESTONES, params={"cursor": cursor, "sort": sort})
        assert response.status_code == 200


@pytest.mark.plain
@pytest.mark.parametrize("sort", SORTS)
def test_a_sorted_page_is_read_from_an_index_where_it_starts(
    alice: httpx.Client, database: URL, sort: str
) -> None:
    task_id = create(alice)["id"]
    for _ in range(3):
        reach(alice, task_id=task_id)
    first = alice.get(MILESTONES, params={"sort": sort, "limit": 1}).json()
    cursor = {"cursor": first["next_cursor"], "sort": sort}
    with serve(database) as another, another.client("alice") as client:
        client.get(MILESTONES, params=cursor)
        (statement,) = (text for text in another.wire.statements if "LIMIT" in text)
    with connect(database) as connection:
        # Whatever it believes of so few rows: whether there is an index is the question.
        for option in ("seqscan", "bitmapscan", "sort"):
            connection.execute(f"SET enable_{option} = off")
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.execute(f"PREPARE page AS {statement}")
        parameters = statement.count("$")
        rows = connection.execute(f"EXPLAIN EXECUTE page ({', '.join(['NULL'] * parameters)})")
        plan = "\n".join(row[0] for row in rows)

    assert "Sort" not in plan
    assert "Filter" not in plan
    index_condition = plan.partition("Index Cond: ")[2]
    assert "owner_id" in index_condition
    assert ("id <" if "created_at" in sort else "ROW(") in index_condition.replace(">", "<")
