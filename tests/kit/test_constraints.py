"""What is unique is there once for each owner, and a reference leads to what its owner has."""

from collections.abc import Iterator
from typing import Annotated
from uuid import UUID, uuid4

import httpx
import pytest
from sqlmodel import Field, SQLModel
from uuid_utils.compat import uuid7

from app.api.identity import current_owner
from app.kit.api.router import owned_crud_router
from app.kit.models import Owned, References
from tests.support.database import connect
from tests.support.migrations import MakeDatabase, migrated
from tests.support.milestones import MILESTONES, Milestone, reach
from tests.support.problems import assert_problem
from tests.support.server import serve
from tests.support.tasks import NEVER_WAS, TASKS, create


def another(milestone: Milestone) -> Milestone:
    """The fields of another milestone of the same task."""
    return {"task_id": milestone["task_id"], "name": uuid4().hex, "weight": 1}


def test_a_second_unique_value_is_refused_and_the_field_named(alice: httpx.Client) -> None:
    first, other = reach(alice, name="Plan"), reach(alice, name="Build")
    second = {"task_id": first["task_id"], "name": "Plan", "weight": 1}

    created = alice.post(MILESTONES, json=second)
    updated = alice.patch(f"{MILESTONES}/{other['id']}", json={"name": "Plan"})

    for response in (created, updated):
        assert_problem(response, 409, "/body/name")
        assert response.json()["detail"] == "There is an item with this name already."
        assert not {"location", "etag"} & response.headers.keys()
    assert alice.get(MILESTONES).json()["items"] == [other, first]


def test_a_second_id_is_refused(alice: httpx.Client) -> None:
    first = reach(alice)

    response = alice.post(MILESTONES, json={**another(first), "id": first["id"]})

    assert_problem(response, 409, "/body/id")
    assert response.json()["detail"] == "There is an item with this id already."


def test_an_update_to_the_same_unique_value_is_no_second_one(alice: httpx.Client) -> None:
    first = reach(alice, name="Plan")

    again = alice.patch(f"{MILESTONES}/{first['id']}", json={"name": "Plan"})
    assert again.status_code == 200


def test_a_unique_value_of_another_owner_does_not_matter(
    alice: httpx.Client, bob: httpx.Client
) -> None:
    assert reach(alice, name="Plan")["name"] == reach(bob, name="Plan")["name"]


def test_a_unique_value_that_looks_like_a_key_tells_nothing(alice: httpx.Client) -> None:
    first = reach(alice, name="(a)=(b) already exists")

    response = alice.post(MILESTONES, json={**another(first), "name": first["name"]})
    assert response.json()["detail"] == "There is an item with this name already."


def test_a_reference_to_a_strangers_task_is_as_one_to_a_task_that_never_was(
    alice: httpx.Client, bob: httpx.Client
) -> None:
    milestone = reach(alice)
    item = f"{MILESTONES}/{milestone['id']}"
    ids = [create(bob)["id"], NEVER_WAS]

    for method, path, fields in (
        ("POST", MILESTONES, another(milestone)),
        ("PATCH", item, {}),
        ("PATCH", item, {"due": None}),
    ):
        strangers, never_was = (
            alice.request(method, path, json={**fields, "task_id": id_}) for id_ in ids
        )
        assert_problem(strangers, 422, "/body/task_id")
        assert strangers.json()["errors"][0]["detail"] == "There is nothing with this id."
        assert strangers.content == never_was.content
    assert alice.get(MILESTONES).json()["items"] == [milestone]


def test_a_deleted_task_takes_its_milestones_with_it(
    alice: httpx.Client, bob: httpx.Client
) -> None:
    gone, stays, of_bob = reach(alice), reach(alice), reach(bob)

    assert alice.delete(f"{TASKS}/{gone['task_id']}").status_code == 204

    assert alice.get(MILESTONES).json()["items"] == [stays]
    assert bob.get(MILESTONES).json()["items"] == [of_bob]


@pytest.mark.plain
@pytest.mark.parametrize("action", ["", "ON DELETE RESTRICT"])
def test_a_task_that_does_not_take_its_milestones_with_it_is_not_deleted(
    make_database: MakeDatabase, action: str
) -> None:
    url = migrated(make_database())
    with connect(url) as connection:
        key = "fk_milestone_owner_id_task_id"
        connection.execute(
            f"ALTER TABLE milestone DROP CONSTRAINT {key}, ADD CONSTRAINT {key}"
            f" FOREIGN KEY (owner_id, task_id) REFERENCES task (owner_id, id) {action}"
        )
    with serve(url) as server, server.client("alice") as alice:
        milestone = reach(alice)
        # That it can be 409 is not documented: the model says that it cannot.
        headers = {"X-User-ID": "alice"}
        task = f"{server.url}{TASKS}/{milestone['task_id']}"
        for condition in ({}, {"If-Match": "*"}):
            response = httpx.delete(task, headers={**headers, **condition}, verify=False)
            assert_problem(response, 409)
            assert response.json()["detail"] == "There are other items that refer to this one."
        assert alice.get(MILESTONES).json()["items"] == [milestone]


@pytest.fixture
def folders(make_database: MakeDatabase) -> Iterator[httpx.Client]:
    """A client of an application with folders, which may be in one another."""

    class Folder(Owned, table=True):
        filterable = ("inside",)
        unique = (("inside", "name"),)

        name: str = Field(default="", max_length=9)
        inside: Annotated[UUID, References("folder")] | None = None

    with serve(migrated(make_database())) as server, server.client("alice") as alice:
        router = owned_crud_router(Folder, owner=current_owner, path="/folders")
        server.app.include_router(router)
        yield alice
    SQLModel.metadata.remove(SQLModel.metadata.tables["folder"])


@pytest.mark.plain
def test_items_of_a_batch_may_refer_to_one_another_and_are_deleted_from_the_ends(
    folders: httpx.Client,
) -> None:
    parent, child = str(uuid7()), str(uuid7())
    tree = [{"id": child, "inside": parent}, {}, {"id": parent}]

    created = folders.post("/folders/batch", json={"items": tree})
    assert [item["inside"] for item in created.json()["items"]] == [parent, None, None]

    new = str(uuid7())
    broken = [{"id": new}, {"inside": NEVER_WAS}, {"inside": child}, {}, {"inside": new}]
    refused = folders.post("/folders/batch", json={"items": broken})
    assert_problem(refused, 422, "/body/items/1/inside")

    named = [{"name": "a"}, {"name": "a"}, *[{"inside": parent, "name": "a"}] * 2]
    assert_problem(
        folders.post("/folders/batch", json={"items": named}),
        *(409, "/body/items/3/inside", "/body/items/3/name"),
    )

    roots, inner = {"inside__is": "null"}, {"inside": parent}
    assert_problem(folders.delete("/folders", params=roots), 409)
    assert len(folders.get("/folders").json()["items"]) == 3
    assert folders.delete("/folders", params=inner).json() == {"count": 1}
    assert folders.delete("/folders", params=roots).json() == {"count": 2}
