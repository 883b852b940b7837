"""A field of a resource keeps its values, and refuses all others."""

import httpx
import pytest

from tests.support.database import connect
from tests.support.migrations import MakeDatabase, migrated
from tests.support.milestones import MILESTONES, Milestone, reach
from tests.support.problems import assert_problem
from tests.support.server import serve
from tests.support.tasks import create

NOT_A_STATUS: list[object] = [None, "PLANNED", "", "planned ", 0, [], "x"]
NOT_A_WEIGHT: list[object] = [None, 0, 101, 2**31, 10**30, "1", 1.5, True, []]
NOT_A_DATE: list[object] = [
    "", "0", 0, 1.5, True, [], "2026-02-30", "2026-13-01", "0000-01-01", "2026-1-1", "20260101",
    "2026-01-01T00:00:00", "10000-01-01", "-0001-01-01", " 2026-01-01",
]  # fmt: skip
BAD_FIELDS = [
    *(("status", value) for value in NOT_A_STATUS),
    *(("weight", value) for value in NOT_A_WEIGHT),
    *(("due", value) for value in NOT_A_DATE),
    *(("task_id", value) for value in [None, "", 1, "019daf0900007000800000000000000"]),
    *(("name", value) for value in [None, "", "x" * 101]),
]


def test_fields_are_returned_as_they_were_sent(alice: httpx.Client) -> None:
    sent = {"name": "Plan", "status": "reached", "weight": 100, "due": "0999-12-31"}

    milestone = reach(alice, **sent)

    assert {field: milestone[field] for field in sent} == sent
    assert alice.get(f"{MILESTONES}/{milestone['id']}").json() == milestone
    assert alice.get(MILESTONES).json()["items"] == [milestone]


def test_fields_that_are_left_out_have_their_default(alice: httpx.Client) -> None:
    milestone = reach(alice)

    assert (milestone["status"], milestone["due"]) == ("planned", None)


def test_a_whole_number_is_taken_in_any_form(alice: httpx.Client) -> None:
    milestone = reach(alice, weight=17.0)
    changed = alice.patch(f"{MILESTONES}/{milestone['id']}", json={"weight": 18.0})

    assert (milestone["weight"], changed.json()["weight"]) == (17, 18)


def test_fields_are_changed_one_by_one_and_cleared_with_null(alice: httpx.Client) -> None:
    milestone = reach(alice, due="2026-11-22")
    item = f"{MILESTONES}/{milestone['id']}"
    other = create(alice)["id"]

    changes: list[Milestone] = [
        {"due": None}, {"due": "9999-12-31"}, {"status": "reached"}, {"weight": 2},
    ]  # fmt: skip
    for change in (*changes, {"task_id": other}):
        changed = alice.patch(item, json=change).json()
        version = {name: changed[name] for name in ("updated_at", "etag")}
        milestone = {**milestone, **change, **version}
        assert changed == milestone


@pytest.mark.plain
@pytest.mark.parametrize(("field", "value"), BAD_FIELDS)
def test_a_field_refuses_what_does_not_fit(alice: httpx.Client, field: str, value: object) -> None:
    milestone = reach(alice)
    fields = {"task_id": milestone["task_id"], "name": "x", "weight": 1, field: value}

    created = alice.post(MILESTONES, json=fields)
    updated = alice.patch(f"{MILESTONES}/{milestone['id']}", json={field: value})

    assert_problem(created, 422, f"/body/{field}")
    assert_problem(updated, 422, f"/body/{field}")
    assert alice.get(MILESTONES).json()["items"] == [milestone]


def test_a_row_that_is_odd_is_shown_as_it_is_stored(make_database: MakeDatabase) -> None:
    database = migrated(make_database())
    odd: Milestone = {"name": "", "status": "odd", "weight": 0}

    with serve(database) as server, server.client("alice") as alice:
        milestone, other = reach(alice), reach(alice)
        with connect(database) as connection:
            checks = connection.execute(
                "SELECT conname FROM pg_constraint"
                " WHERE conrelid = 'milestone'::regclass AND contype = 'c'"
            ).fetchall()
            for (name,) in checks:
                connection.execute(f"ALTER TABLE milestone DROP CONSTRAINT {name}")
            connection.execute(
                "UPDATE milestone SET name = %(name)s, status = %(status)s, weight = %(weight)s"
                " WHERE id = %(id)s",
                {**odd, "id": milestone["id"]},
            )
        # It is not what the document says, so this client must not compare.
        alice.event_hooks = {}
        shown = {**milestone, **odd}
        assert alice.get(MILESTONES).json()["items"] == [other, shown]
        assert alice.get(f"{MILESTONES}/{milestone['id']}").json() == shown
