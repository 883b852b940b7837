"""A list has what its filters ask for, in the order that is asked for, page by page."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import URL

from tests.support.database import connect
from tests.support.milestones import MILESTONES, Milestone, reach
from tests.support.paging import COMPARISONS, pages, pages_back, sorted_as
from tests.support.problems import assert_problem
from tests.support.server import serve
from tests.support.tasks import NEVER_WAS, TASKS, create, titles

SORTED_BY = ["created_at", "updated_at", "due", "weight"]
INDEXED = [
    *(sign + field for field in SORTED_BY for sign in ("", "-")),
    "weight,-due",
    "-weight,due",
]
UNINDEXED = [
    "name", "-name", "name,due", "-due,weight", "due,weight,-name", "weight,due,name",
    "-weight,-weight,weight", "due,-created_at,name", "-weight,updated_at", "name,-name,-due",
]  # fmt: skip
SORTS = [*INDEXED, *UNINDEXED]
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
    *((f"due__{operator}", "2026-02-30") for operator in ("gt", "gte", "lt", "lte")),
    *((f"updated_at__{operator}", "2026-11-22") for operator in ("gt", "gte", "lt", "lte")),
    *(("due__is", value) for value in ["", "true", "None"]),
    ("due__is_not", "NULL"),
    ("total", "1"),
    *(("sort", value) for value in ["", "due,", "-", "status", "name,due,weight,updated_at"]),
]
UNKNOWN = [
    "due__in", "due__ne", "due__contains", "name", "name__gt", "weight__is", "status__gt", "id",
    "id__gt", "created_at", "created_at__in", "updated_at__is", "owner_id", "owner_id__in", "due__",
]  # fmt: skip
NAMES = ["b", "a", "B ", "A ", "é", "É", "_", "z" * 100]
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
        reach(alice, task_id=task_id, due=due, weight=weight, name=name)
        for due, weight, name in zip(DUES, WEIGHTS, NAMES, strict=True)
    ]


def in_order(items: list[Milestone], sort: str) -> list[Milestone]:
    """Return milestones as a list shows them."""
    return sorted_as(items, sort, sort_key)


def sort_key(field: str) -> Callable[[Milestone], Any]:
    """Return the function that puts items in the order of a field: null is the largest value."""
    if field == "name":
        return lambda item: item["name"].encode().lower()  # of ASCII only
    # "…:01Z" is before "…:01.5Z".
    return lambda item: (item[field] is None, str(item[field]).rstrip("Z").rjust(9))


@pytest.mark.plain
@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("limit", [1, 3, 8])
def test_a_sorted_list_shows_each_item_once_and_null_as_the_largest(
    alice: httpx.Client, milestones: list[Milestone], sort: str, limit: int
) -> None:
    expected = in_order(milestones, sort)

    assert pages(alice, MILESTONES, sort=sort, limit=limit) == expected
    assert pages_back(alice, MILESTONES, sort=sort, limit=limit) == expected


@pytest.mark.plain
@pytest.mark.usefixtures("milestones")
@pytest.mark.parametrize("sort", SORTS)
def test_a_sorted_list_takes_any_cursor_of_the_right_form(alice: httpx.Client, sort: str) -> None:
    for cursor in CURSORS:
        response = alice.get(MILESTONES, params={"cursor": cursor, "sort": sort})
        assert response.status_code == 200


def plan_of(database: URL, parameters: dict[str, str]) -> str:
    """How PostgreSQL executes the statement of a list, for any values."""
    with serve(database) as server, server.client("alice") as client:
        assert client.get(MILESTONES, params=parameters).status_code == 200
        (statement,) = (text for text in server.wire.statements if "LIMIT" in text)
    with connect(database) as connection:
        # Whatever it believes of so few rows: whether there is an index is the question.
        for option in ("seqscan", "bitmapscan", "sort"):
            connection.execute(f"SET enable_{option} = off")
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.execute(f"PREPARE page AS {statement}")
        nulls = ", ".join(["NULL"] * len(set(re.findall(r"\$\d+", statement))))
        rows = connection.execute(f"EXPLAIN EXECUTE page ({nulls})")
        return "\n".join(row[0] for row in rows)


@pytest.mark.plain
@pytest.mark.parametrize("sort", INDEXED)
def test_a_sorted_page_is_read_from_an_index_where_it_starts(
    alice: httpx.Client, database: URL, sort: str
) -> None:
    task_id = create(alice)["id"]
    for _ in range(3):
        reach(alice, task_id=task_id)
    first = alice.get(MILESTONES, params={"sort": sort, "limit": 1}).json()
    plan = plan_of(database, {"cursor": first["next_cursor"], "sort": sort})

    starts = [["id <" if "created_at" in sort else "ROW("]]
    if "," in sort:  # of mixed directions there are two parts, each with a limit, to be merged
        starts = [["weight <"], ["weight =", "ROW("]]
    assert "Filter" not in plan
    scans = re.findall(r"Limit  .*\n *->  Index Scan .*\n *Index Cond: (.*)", plan)
    for scan, start in zip(scans, starts, strict=True):
        assert "owner_id" in scan
        assert all(part in scan.replace(">", "<") for part in start)


@pytest.mark.plain
@pytest.mark.parametrize(
    ("parameters", "condition"),
    [
        ({"sort": "due", "due__gte": "2026-11-22", "due__lt": "2026-11-29"}, "COALESCE(due"),
        ({"sort": "weight", "weight__gt": "3"}, "weight >"),
        ({"sort": "updated_at", "updated_at__gte": "2026-11-22T00:00:00Z"}, "updated_at >="),
        ({"sort": "-created_at", "created_at__lt": "2026-11-22T00:00:00Z"}, "id <="),
        ({"sort": "created_at", "created_at__gte": "2026-11-22T00:00:00Z"}, "id >="),
    ],
)
def test_a_range_is_read_from_an_index_where_it_starts(
    database: URL, parameters: dict[str, str], condition: str
) -> None:
    plan = plan_of(database, parameters)

    assert "Sort" not in plan
    assert condition in plan.partition("Index Cond: ")[2].partition("\n")[0]


@pytest.mark.plain
@pytest.mark.parametrize("field", ["due", "weight", "created_at", "updated_at"])
@pytest.mark.parametrize("compared", COMPARISONS)
def test_a_range_finds_what_is_in_it_and_no_null(
    alice: httpx.Client, milestones: list[Milestone], field: str, compared: str
) -> None:
    compare = COMPARISONS[compared]
    for value in {item[field] for item in milestones} - {None}:
        key, there = sort_key(field), [item for item in milestones if item[field] is not None]
        expected = [item for item in there if compare(key(item), key({field: value}))]
        for sort in ("created_at", "due", "-weight"):
            found = pages(alice, MILESTONES, sort=sort, **{f"{field}__{compared}": value})
            assert found == in_order(expected, sort)


def test_a_range_has_two_ends(alice: httpx.Client, milestones: list[Milestone]) -> None:
    week = {"due__gte": "2026-11-22", "due__lt": "2026-11-23"}

    assert pages(alice, MILESTONES, sort="created_at", **week) == milestones[1:3]
    assert pages(alice, MILESTONES, weight__gt=2, weight__lte=50, due__is="null", sort="due") == [
        milestones[4]
    ]


def test_a_range_of_times_is_exact_to_the_microsecond(alice: httpx.Client) -> None:
    task = create(alice)
    made_at = str(task["created_at"])
    later = datetime.fromisoformat(made_at) + timedelta(microseconds=1)
    just_after = later.isoformat().replace("+00:00", "Z")

    for field in ("created_at", "updated_at"):
        for compared, found in (("gte", True), ("gt", False), ("lte", True), ("lt", False)):
            page = alice.get(TASKS, params={f"{field}__{compared}": made_at}).json()
            assert bool(page["items"]) == found
        assert alice.get(TASKS, params={f"{field}__gte": just_after}).json()["items"] == []
        assert alice.get(TASKS, params={f"{field}__lt": just_after}).json()["items"] == [task]
    for moment in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"):
        is_past = moment.startswith("0")
        assert bool(titles(alice, created_at__gt=moment)) == is_past
        assert bool(titles(alice, created_at__lte=moment)) != is_past


def test_a_set_finds_each_of_its_values_and_nothing_of_a_stranger(
    alice: httpx.Client, bob: httpx.Client, milestones: list[Milestone]
) -> None:
    of_bob = reach(bob, weight=2)
    ids = [milestones[0]["id"], milestones[5]["id"], of_bob["id"], NEVER_WAS]

    def found(**parameters: object) -> list[Milestone]:
        return pages(alice, MILESTONES, sort="created_at", **parameters)

    assert found(id__in=ids) == [milestones[0], milestones[5]]
    assert found(id__in=ids, weight__in=[2]) == [milestones[5]]
    assert found(weight__in=[2, 1]) == [milestones[n] for n in (0, 5, 6)]
    assert found(status__in=["reached"]) == []
    assert found(status__in=["reached", "planned"]) == milestones
    assert found(task_id__in=[milestones[0]["task_id"], of_bob["task_id"]]) == milestones


def test_null_is_found_and_left_out(alice: httpx.Client, milestones: list[Milestone]) -> None:
    without = [item for item in milestones if item["due"] is None]

    assert pages(alice, MILESTONES, sort="created_at", due__is="null") == without
    others = pages(alice, MILESTONES, sort="created_at", due__is_not="null")
    assert others == [item for item in milestones if item not in without]


@pytest.mark.plain
@pytest.mark.parametrize("name", UNKNOWN)
def test_a_filter_that_is_not_there_is_refused(alice: httpx.Client, name: str) -> None:
    response = alice.get(MILESTONES, params={name: "2026-11-22"})

    assert_problem(response, 422, f"/query/{name}")


@pytest.mark.plain
def test_a_set_has_at_most_100_values_and_other_parameters_have_one(alice: httpx.Client) -> None:
    many = {"id__in": [str(uuid4()) for _ in range(101)]}
    assert_problem(alice.get(MILESTONES, params=many), 422, "/query/id__in")
    assert_problem(alice.get(MILESTONES, params={"id__in": ["x"]}), 422, "/query/id__in/0")
    for name, value in (("due__gt", "2026-11-22"), ("weight", "2"), ("total", "true")):
        response = alice.get(MILESTONES, params={name: [value, value]})
        assert_problem(response, 422, f"/query/{name}")


def test_a_total_counts_the_items_of_all_pages(
    alice: httpx.Client, bob: httpx.Client, milestones: list[Milestone]
) -> None:
    reach(bob)

    def total(**parameters: object) -> tuple[int, int | None]:
        page = alice.get(MILESTONES, params=parameters).json()  # type: ignore[arg-type]
        return len(page["items"]), page["total"]

    assert total() == (8, None)
    assert total(total="false") == (8, None)
    for sort in SORTS:
        first: dict[str, str | int] = {"limit": 3, "sort": sort, "total": "true"}
        assert total(**first) == (3, 8)
        cursor = alice.get(MILESTONES, params=first).json()["next_cursor"]
        page = alice.get(MILESTONES, params={**first, "cursor": cursor}).json()
        assert page["items"] == in_order(milestones, sort)[3:6]
        assert page["total"] == 8
    assert total(total="true", weight=50, limit=2) == (2, 3)
    assert total(total="true", q="A", due__is="null", limit=1) == (0, 0)
    assert total(total="true", q="Z") == (1, 1)
    assert total(total="true", due__gt="9999-12-31") == (0, 0)
    end = "_" * 32
    assert total(total="true", cursor=end, sort="created_at") == (0, 8)


def test_a_total_is_counted_up_to_10_000(alice: httpx.Client, owner: str, database: URL) -> None:
    with connect(database) as connection:
        connection.execute(
            "INSERT INTO task (owner_id, id, created_at, updated_at, title, completed)"
            " SELECT %s, overlay(gen_random_uuid()::text PLACING '7' FROM 15)::uuid,"
            " now(), now(), 'x', n = 1 FROM generate_series(1, 10001) n",
            (owner,),
        )

    assert alice.get(TASKS, params={"total": "true", "limit": 1}).json()["total"] == 10_000
    done = alice.get(TASKS, params={"total": "true", "limit": 1, "completed": "true"})
    assert done.json()["total"] == 1


def test_pages_lead_back_and_forth(alice: httpx.Client, milestones: list[Milestone]) -> None:
    expected = in_order(milestones, "-weight,due")

    def page(cursor: str | None = None) -> dict[str, Any]:
        parameters = {"sort": "-weight,due", "limit": "3", **({"cursor": cursor} if cursor else {})}
        found: dict[str, Any] = alice.get(MILESTONES, params=parameters).json()
        return found

    first = page()
    second = page(first["next_cursor"])
    third = page(second["next_cursor"])
    assert [first["items"], second["items"], third["items"]] == [
        expected[:3], expected[3:6], expected[6:],
    ]  # fmt: skip
    assert (first["previous_cursor"], third["next_cursor"]) == (None, None)
    assert page(third["previous_cursor"]) == second
    back = page(second["previous_cursor"])
    assert back == first
    assert page(back["next_cursor"]) == second


def test_a_page_without_items_leads_back_to_all_that_are_left(alice: httpx.Client) -> None:
    for sort in ("created_at", "-created_at", "weight", "-weight,due"):
        items = in_order([reach(alice, weight=n) for n in (1, 2)], sort)
        ids = {"id__in": [item["id"] for item in items]}
        first = alice.get(MILESTONES, params={"sort": sort, "limit": 1, **ids}).json()
        assert alice.delete(f"{MILESTONES}/{items[1]['id']}").status_code == 204

        def page(cursor: str, sort: str = sort, ids: dict[str, Any] = ids) -> dict[str, Any]:
            parameters = {"sort": sort, "limit": 1, "cursor": cursor, **ids}
            found: dict[str, Any] = alice.get(MILESTONES, params=parameters).json()
            return found

        empty = page(first["next_cursor"])
        assert (empty["items"], empty["next_cursor"]) == ([], None)
        back = page(empty["previous_cursor"])
        assert (back["items"], back["previous_cursor"]) == ([items[0]], None)
        assert page(back["next_cursor"])["items"] == []
        alice.delete(f"{MILESTONES}/{items[0]['id']}")
        none = page(empty["previous_cursor"])
        assert (none["items"], none["previous_cursor"]) == ([], None)
        assert page(none["next_cursor"])["items"] == []
