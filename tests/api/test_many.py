"""Many items at once: created, changed or deleted by one request, all or none."""

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import URL
from uuid_utils.compat import uuid7

from tests.support.database import Lock, connect
from tests.support.milestones import MILESTONES, reach
from tests.support.problems import JSON, assert_problem
from tests.support.server import serve
from tests.support.tasks import NEVER_WAS, TASKS, create, titles

BATCH = f"{TASKS}/batch"


def batch(*titles: str) -> dict[str, Any]:
    """The body of a request that creates tasks."""
    return {"items": [{"title": title} for title in titles]}


def test_a_batch_creates_items_in_the_order_sent(alice: httpx.Client) -> None:
    names = [f"task {number}" for number in range(100)]
    items = batch(*names)["items"]
    items[0] |= {"description": "x", "completed": True}
    items[50]["id"] = str(uuid7())

    created = alice.post(BATCH, json={"items": items})

    assert created.status_code == 201
    assert [item["title"] for item in created.json()["items"]] == names
    assert created.json()["items"][50]["id"] == items[50]["id"]
    listed = alice.get(TASKS, params={"limit": 100, "sort": "created_at"}).json()["items"]
    by_id = {item["id"]: item for item in listed}
    for item in created.json()["items"]:
        assert item == by_id[item["id"]]
        assert alice.get(f"{TASKS}/{item['id']}").headers["ETag"] == item["etag"]


def test_the_ids_of_a_batch_are_in_its_order(alice: httpx.Client) -> None:
    ids = [item["id"] for item in alice.post(BATCH, json=batch(*"abcdef")).json()["items"]]

    assert ids == sorted(ids)


@pytest.mark.parametrize("count", [0, 101])
def test_a_batch_has_1_to_100_items(alice: httpx.Client, count: int) -> None:
    response = alice.post(BATCH, json=batch(*["x"] * count))

    assert_problem(response, 422, "/body/items")
    assert titles(alice) == []


def test_a_batch_may_have_a_mebibyte(alice: httpx.Client) -> None:
    items = [{"title": "x", "description": "é" * 5000} for _ in range(100)]

    created = alice.post(
        BATCH, content=json.dumps({"items": items}, ensure_ascii=False), headers=JSON
    )
    assert created.status_code == 201
    assert [item["description"] for item in created.json()["items"]] == ["é" * 5000] * 100
    assert_problem(alice.post(BATCH, content=b" " * (2**20 + 1), headers=JSON), 413)
    assert_problem(alice.post(TASKS, content=b" " * (2**16 + 1), headers=JSON), 413)


def test_a_refused_item_is_named_and_none_is_created(alice: httpx.Client) -> None:
    items = batch("a", "b", "c", "")["items"]
    items[1]["unknown"] = 1

    response = alice.post(BATCH, json={"items": items})

    assert_problem(response, 422, "/body/items/1/unknown", "/body/items/3/title")
    assert titles(alice) == []


def test_a_batch_with_ids_can_be_sent_again_safely(alice: httpx.Client, bob: httpx.Client) -> None:
    items = [{"title": title, "id": str(uuid7())} for title in "abc"]
    assert alice.post(BATCH, json={"items": items[:2]}).status_code == 201

    again = alice.post(BATCH, json={"items": items})

    assert_problem(again, 409, "/body/items/0/id", "/body/items/1/id")
    assert titles(alice) == ["b", "a"]
    assert bob.post(BATCH, json={"items": items}).status_code == 201


def test_an_id_that_is_twice_in_a_batch_is_named(alice: httpx.Client) -> None:
    id_ = str(uuid7())
    items = [{"title": "a"}, {"title": "b", "id": id_}, {"title": "c", "id": id_}]

    assert_problem(alice.post(BATCH, json={"items": items}), 409, "/body/items/2/id")
    assert titles(alice) == []


def test_a_unique_value_and_a_broken_reference_are_named(
    alice: httpx.Client, bob: httpx.Client
) -> None:
    taken = reach(alice, name="taken")
    of_bob = create(bob)["id"]

    def send(*changes: dict[str, Any]) -> httpx.Response:
        fields = {"task_id": taken["task_id"], "weight": 1}
        items = [{"name": uuid4().hex, **fields, **change} for change in changes]
        return alice.post(f"{MILESTONES}/batch", json={"items": items})

    assert_problem(send({}, {"name": "taken"}), 409, "/body/items/1/name")
    assert_problem(send({"name": "x"}, {}, {"name": "x"}), 409, "/body/items/2/name")
    broken = send({}, {"task_id": NEVER_WAS}, {"task_id": of_bob})
    assert_problem(broken, 422, "/body/items/1/task_id", "/body/items/2/task_id")
    assert alice.get(MILESTONES).json()["items"] == [taken]


def test_all_that_match_are_changed_and_no_others(alice: httpx.Client, bob: httpx.Client) -> None:
    for client in (alice, bob):
        assert client.post(BATCH, json=batch("milk", "more milk", "bread")).status_code == 201
    before = {task["title"]: task for task in alice.get(TASKS).json()["items"]}

    changed = alice.patch(TASKS, params={"q": "MILK"}, json={"completed": True})

    assert changed.json() == {"count": 2}
    after = {task["title"]: task for task in alice.get(TASKS).json()["items"]}
    assert after["bread"] == before["bread"]
    for title in ("milk", "more milk"):
        assert after[title]["completed"]
        assert after[title]["updated_at"] > before[title]["updated_at"]
        item = f"{TASKS}/{after[title]['id']}"
        stale = {"If-Match": before[title]["etag"]}
        assert alice.patch(item, json={}, headers=stale).status_code == 412
        current = {"If-Match": after[title]["etag"]}
        assert alice.patch(item, json={}, headers=current).status_code == 200
    assert titles(bob, completed="true") == []


def test_what_readme_names_is_one_request(alice: httpx.Client) -> None:
    alice.post(BATCH, json=batch("a", "b", "c"))
    twelve = alice.get(TASKS, params={"completed": "false", "total": "true", "limit": 1})
    complete_all = alice.patch(TASKS, params={"completed": "false"}, json={"completed": True})
    again = alice.patch(TASKS, params={"completed": "false"}, json={"completed": True})
    clear_completed = alice.delete(TASKS, params={"completed": "true"})

    assert twelve.json()["total"] == 3
    assert [r.json()["count"] for r in (complete_all, again, clear_completed)] == [3, 0, 3]
    assert titles(alice) == []


def test_the_selected_ones_are_changed_and_those_of_strangers_are_not(
    alice: httpx.Client, bob: httpx.Client
) -> None:
    mine = [create(alice, title)["id"] for title in "abc"]
    of_bob = create(bob)
    selected: dict[str, Any] = {"id__in": [*mine[:2], str(of_bob["id"]), NEVER_WAS]}

    changed = alice.patch(TASKS, params=selected, json={"title": "x"})
    deleted = alice.delete(TASKS, params={**selected, "q": "X"})

    assert (changed.json(), deleted.json()) == ({"count": 2}, {"count": 2})
    assert titles(alice) == ["c"]
    assert bob.get(f"{TASKS}/{of_bob['id']}").json() == of_bob


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ({}, "/query"),
        ({"completed": ["true", "true"]}, "/query/completed"),
        ({"q": ""}, "/query/q"),
        ({"id__in": "x"}, "/query/id__in/0"),
        *(({"completed": "true", name: "1"}, f"/query/{name}") for name in ("limit", "total")),
        ({"completed": "true", "sort": "-created_at"}, "/query/sort"),
        ({"completed": "true", "cursor": "A" * 32}, "/query/cursor"),
    ],
)
def test_to_change_or_delete_all_takes_a_filter_and_nothing_else(
    alice: httpx.Client, method: str, parameters: dict[str, Any], pointer: str
) -> None:
    task = create(alice, completed=True)
    body = {"title": "x"} if method == "PATCH" else None

    assert_problem(alice.request(method, TASKS, params=parameters, json=body), 422, pointer)
    assert alice.get(TASKS).json()["items"] == [task]


def test_an_empty_change_changes_nothing(alice: httpx.Client) -> None:
    task = create(alice)

    assert alice.patch(TASKS, params={"completed": "false"}, json={}).json() == {"count": 0}
    assert alice.get(TASKS).json()["items"] == [task]


def test_a_refused_change_of_many_changes_none(alice: httpx.Client, bob: httpx.Client) -> None:
    milestones = [reach(alice, weight=7) for _ in range(2)]
    others = {"task_id": create(bob)["id"]}
    all_ = {"weight": 7}

    taken = alice.patch(MILESTONES, params=all_, json={"name": "x"})
    broken = alice.patch(MILESTONES, params=all_, json=others)
    null = alice.patch(MILESTONES, params=all_, json={"weight": None})

    assert_problem(taken, 409, "/body/name")
    assert_problem(broken, 422, "/body/task_id")
    assert_problem(null, 422, "/body/weight")
    assert alice.get(MILESTONES).json()["items"] == milestones[::-1]


@pytest.mark.plain
def test_a_change_that_a_deadlock_ends_is_made_all_the_same(
    alice: httpx.Client, database: URL
) -> None:
    first, second = (item["id"] for item in alice.post(BATCH, json=batch("a", "b")).json()["items"])
    lock = "UPDATE task SET title = title WHERE id = %s"
    with (
        connect(database) as other,
        connect(database) as observer,
        ThreadPoolExecutor() as threads,
    ):
        other.execute("SET deadlock_timeout = '1min'")  # so that the API's statement is ended
        with other.transaction():
            other.execute(lock, [second])
            ids = {"id__in": [first, second]}
            changed = threads.submit(alice.patch, TASKS, params=ids, json={"title": "x"})
            Lock(observer).wait_until_requested(True)
            other.execute(lock, [first])
        assert changed.result().json() == {"count": 2}
    assert titles(alice) == ["x", "x"]


@pytest.mark.plain
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_rows_are_locked_in_the_order_of_their_ids_so_that_changes_that_meet_take_turns(
    database: URL, owner: str, method: str
) -> None:
    # Without an index PostgreSQL finds the rows as they were stored, the last one first.
    as_stored = " ".join(f"-c enable_{way}=off" for way in ("indexscan", "bitmapscan"))
    first, last = sorted(str(uuid7()) for _ in range(2))
    body = {"title": "y"} if method == "PATCH" else None
    with (
        serve(database.update_query_dict({"options": as_stored})) as server,
        server.client(owner) as alice,
        connect(database) as holder,
        connect(database) as observer,
        ThreadPoolExecutor() as threads,
    ):
        for id_ in (last, first):
            create(alice, "x", id=id_)
        with holder.transaction():
            holder.execute("SELECT 1 FROM task WHERE id = %s FOR UPDATE", [first])
            ids = {"id__in": [last, first]}
            written = threads.submit(alice.request, method, TASKS, params=ids, json=body)
            Lock(observer).wait_until_requested(True)
            observer.execute("SELECT 1 FROM task WHERE id = %s FOR UPDATE NOWAIT", [last])
        assert written.result().json() == {"count": 2}


def test_changes_of_many_that_meet_are_all_made(alice: httpx.Client) -> None:
    ids = [item["id"] for item in alice.post(BATCH, json=batch(*["x"] * 100)).json()["items"]]
    # By each of these the rows are found in another order, some of which change meanwhile.
    selections: list[dict[str, Any]] = [
        {"id__in": ids},
        {"id__in": ids[::-1]},
        {"updated_at__gte": "2026-01-01T00:00:00Z"},
        {"completed": "false"},
    ]
    statuses: list[int] = []

    def change(first: int) -> None:
        for number in range(first, first + 12):
            body = {"title": f"{number}"}
            response = alice.patch(TASKS, params=selections[number % 4], json=body)
            statuses.append(response.status_code)

    threads = [Thread(target=change, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 48
