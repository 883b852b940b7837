"""What the six operations on tasks do."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from sqlalchemy import URL

from app.kit.models.owned import new_id
from tests.support.database import connect
from tests.support.migrations import MakeDatabase, migrated
from tests.support.server import serve
from tests.support.tasks import TASKS, create, titles


def test_a_create_returns_every_field_and_where_the_task_is(alice: httpx.Client) -> None:
    response = alice.post(
        TASKS, json={"title": "Buy milk", "description": "Two litres", "completed": True}
    )

    task = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"{TASKS}/{task['id']}"
    fields = ["id", "created_at", "updated_at", "etag", "title", "description", "completed"]
    assert list(task) == fields
    assert (task["title"], task["description"], task["completed"]) == (
        "Buy milk",
        "Two litres",
        True,
    )
    assert alice.get(response.headers["location"]).json() == task


def test_a_create_needs_a_title_only(alice: httpx.Client) -> None:
    task = create(alice)

    assert (task["description"], task["completed"]) == (None, False)


def test_ids_are_in_the_order_of_creation(alice: httpx.Client) -> None:
    ids = [UUID(str(create(alice)["id"])) for _ in range(20)]

    assert ids == sorted(ids)
    assert {id_.version for id_ in ids} == {7}


def test_ids_are_in_order_even_within_a_millisecond() -> None:
    ids = [new_id() for _ in range(10_000)]

    assert ids == sorted(set(ids))


def test_a_create_notes_the_time_in_utc(alice: httpx.Client) -> None:
    task = create(alice)

    created_at = str(task["created_at"])
    assert created_at.endswith("Z")
    assert task["updated_at"] == created_at
    assert abs(datetime.fromisoformat(created_at) - datetime.now(UTC)) < timedelta(seconds=10)


@pytest.mark.parametrize(
    "title", ["x", "é" * 200, "  padded  ", "100%_\\'\"<b>", "日本語 🎉", "a\u200bb"]
)
def test_text_is_kept_as_it_is(alice: httpx.Client, title: str) -> None:
    description = f"{title}\n\t{title}"
    task = create(alice, title, description=description)

    stored = alice.get(f"{TASKS}/{task['id']}").json()
    assert (stored["title"], stored["description"]) == (title, description)


def test_a_get_answers_404_for_an_id_that_never_was(alice: httpx.Client) -> None:
    response = alice.get(f"{TASKS}/{uuid4()}")

    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing with this id.",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "Buy bread"},
        {"description": "Fresh"},
        {"description": None},
        {"completed": True},
        {"title": "Buy bread", "description": None, "completed": True},
    ],
)
def test_an_update_changes_what_is_given_and_nothing_else(
    alice: httpx.Client, changes: dict[str, object]
) -> None:
    task = create(alice, description="Two litres")
    other = create(alice, "Other")

    response = alice.patch(f"{TASKS}/{task['id']}", json=changes)

    updated = response.json()
    assert response.status_code == 200
    version = {name: updated[name] for name in ("updated_at", "etag")}
    assert updated == {**task, **changes, **version}
    # As times, not as text: the fraction of a whole second is not written.
    before, after = (datetime.fromisoformat(str(t["updated_at"])) for t in (task, updated))
    assert after > before
    assert alice.get(f"{TASKS}/{task['id']}").json() == updated
    assert alice.get(f"{TASKS}/{other['id']}").json() == other


def test_an_update_is_later_than_before_whatever_the_clock_says(
    alice: httpx.Client, database: URL, owner: str
) -> None:
    task = create(alice)
    with psycopg.connect(database.set(drivername="postgresql").render_as_string()) as connection:
        connection.execute(
            "UPDATE task SET updated_at = '2100-01-01 00:00:00Z' WHERE owner_id = %s", (owner,)
        )

    updated = alice.patch(f"{TASKS}/{task['id']}", json={"title": "x"}).json()
    assert updated["updated_at"] == "2100-01-01T00:00:00.000001Z"


def test_an_update_of_nothing_changes_nothing(alice: httpx.Client) -> None:
    task = create(alice)

    response = alice.patch(f"{TASKS}/{task['id']}", json={})

    assert (response.status_code, response.json()) == (200, task)


def test_an_update_answers_404_for_an_id_that_never_was(alice: httpx.Client) -> None:
    for body in ({"title": "x"}, {}):
        assert alice.patch(f"{TASKS}/{uuid4()}", json=body).status_code == 404


def test_a_toggle_completes_a_task_and_reopens_it(alice: httpx.Client) -> None:
    task = create(alice)

    for completed in (True, False):
        response = alice.post(f"{TASKS}/{task['id']}/toggle")
        toggled = response.json()
        assert response.status_code == 200
        assert toggled == {
            **task,
            "completed": completed,
            "updated_at": toggled["updated_at"],
            "etag": toggled["etag"],
        }
        assert alice.get(f"{TASKS}/{task['id']}").json() == toggled


def test_a_toggle_answers_404_for_an_id_that_never_was(alice: httpx.Client) -> None:
    assert alice.post(f"{TASKS}/{uuid4()}/toggle").status_code == 404


def test_a_delete_answers_with_nothing_and_the_task_is_gone(alice: httpx.Client) -> None:
    task, other = create(alice), create(alice, "Other")

    response = alice.delete(f"{TASKS}/{task['id']}")

    assert (response.status_code, response.content) == (204, b"")
    assert "content-type" not in response.headers
    assert alice.get(f"{TASKS}/{task['id']}").status_code == 404
    assert alice.delete(f"{TASKS}/{task['id']}").status_code == 404
    assert titles(alice) == [other["title"]]


def test_a_list_of_nothing_is_empty(alice: httpx.Client) -> None:
    nothing: dict[str, Any] = {
        "items": [],
        "next_cursor": None,
        "previous_cursor": None,
        "total": None,
    }
    assert alice.get(TASKS).json() == nothing


def test_a_list_shows_the_same_as_get(alice: httpx.Client) -> None:
    task = create(alice, description="Two litres", completed=True)

    assert alice.get(TASKS).json()["items"] == [task]


def test_a_list_is_sorted_by_creation_or_by_change_both_ways(alice: httpx.Client) -> None:
    first, _, _ = (create(alice, title) for title in "abc")
    alice.patch(f"{TASKS}/{first['id']}", json={"completed": True})

    assert titles(alice) == ["c", "b", "a"]
    assert titles(alice, sort="-created_at") == ["c", "b", "a"]
    assert titles(alice, sort="created_at") == ["a", "b", "c"]
    assert titles(alice, sort="-updated_at") == ["a", "c", "b"]
    assert titles(alice, sort="updated_at") == ["b", "c", "a"]


def test_a_list_is_filtered_by_completed(alice: httpx.Client) -> None:
    create(alice, "open")
    create(alice, "done", completed=True)

    assert titles(alice, completed="true") == ["done"]
    assert titles(alice, completed="false") == ["open"]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("milk", ["Buy MILK", "Errands"]),
        ("MILK", ["Buy MILK", "Errands"]),
        ("straße", ["Hauptstraße"]),
        ("ÉCOLE", ["école"]),
        ("%", ["100%"]),
        ("_", ["snake_case"]),
        ("\\", ["back\\slash"]),
        ("'", []),
        ("x", []),
    ],
)
def test_a_search_finds_text_in_any_case_and_takes_no_character_for_a_pattern(
    alice: httpx.Client, q: str, found: list[str]
) -> None:
    create(alice, "Buy MILK")
    create(alice, "Errands", description="then get some milk, too")
    for title in ("Hauptstraße", "école", "back\\slash", "snake_case", "100%"):
        create(alice, title)

    assert titles(alice, q=q, sort="created_at") == found


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "updated_at", "-updated_at"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_show_each_item_once(alice: httpx.Client, sort: str, limit: int) -> None:
    for number in range(7):
        create(alice, f"{number} x", completed=number % 2 == 0)
    query = {"sort": sort, "q": "X"}
    expected = titles(alice, **query)

    page = alice.get(TASKS, params={**query, "limit": limit}).json()
    pages = [page]
    while page["next_cursor"]:
        following = {**query, "limit": limit, "cursor": page["next_cursor"]}
        page = alice.get(TASKS, params=following).json()
        pages.append(page)

    assert [item["title"] for page in pages for item in page["items"]] == expected
    assert [len(page["items"]) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert len(pages) == -(-7 // limit)


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "updated_at", "-updated_at"])
def test_pages_skip_and_repeat_nothing_while_others_come_and_go(
    alice: httpx.Client, sort: str
) -> None:
    tasks = [create(alice, str(number)) for number in range(6)]
    order = titles(alice, sort=sort)

    first = alice.get(TASKS, params={"sort": sort, "limit": 3}).json()
    last_seen = first["items"][-1]
    alice.delete(f"{TASKS}/{last_seen['id']}")
    alice.delete(f"{TASKS}/{tasks[int(order[0])]['id']}")
    create(alice, "new")
    second = titles(alice, sort=sort, limit=3, cursor=first["next_cursor"])

    assert second == order[3:]


@pytest.mark.parametrize("sort", ["updated_at", "-updated_at"])
def test_pages_go_by_change_to_the_microsecond_and_ties_by_id(
    alice: httpx.Client, database: URL, owner: str, sort: str
) -> None:
    for number in range(8):
        create(alice, str(number))
    first = "2026-01-01T00:00:00.000001Z"
    with psycopg.connect(database.set(drivername="postgresql").render_as_string()) as connection:
        connection.execute(
            "UPDATE task SET updated_at = %s::timestamptz + title::int / 4 * interval '1 us'"
            " WHERE owner_id = %s",
            (first, owner),
        )

    expected = titles(alice, sort=sort)
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while len(seen) < 8:
        page = alice.get(TASKS, params={"sort": sort, "limit": 1, **cursor}).json()
        seen += [item["title"] for item in page["items"]]
        cursor = {"cursor": page["next_cursor"] or ""}
    assert seen == expected == sorted(seen, reverse=sort.startswith("-"))
    assert cursor == {"cursor": ""}


def test_a_list_takes_any_cursor_of_the_right_form(alice: httpx.Client) -> None:
    create(alice)
    for cursor in ("A" * 32, "_" * 32, "-" * 32, "z" * 32, "gAAAAAAA" + "0" * 24):
        for sort in ("created_at", "-updated_at"):
            response = alice.get(TASKS, params={"cursor": cursor, "sort": sort})
            assert response.status_code == 200


@pytest.mark.plain
def test_times_are_in_utc_wherever_the_database_is(make_database: MakeDatabase) -> None:
    url = migrated(make_database())
    with connect(url) as connection:
        connection.execute(f"ALTER DATABASE {url.database} SET timezone = 'Asia/Kolkata'")
    with serve(url) as server, server.client("alice") as alice:
        created = create(alice)
        changed = alice.post(f"{TASKS}/{created['id']}/toggle").json()
        tag = alice.get(f"{TASKS}/{created['id']}").headers["etag"]
        (listed,) = alice.get(TASKS, params={"sort": "-updated_at"}).json()["items"]

        assert listed == changed
        assert created["created_at"] == changed["created_at"]
        for field in ("created_at", "updated_at"):
            assert changed[field].endswith("Z")
            now = datetime.now(UTC)
            assert abs(datetime.fromisoformat(changed[field]) - now) < timedelta(minutes=1)
        assert alice.patch(
            f"{TASKS}/{created['id']}", json={"title": "x"}, headers={"If-Match": tag}
        ).is_success
