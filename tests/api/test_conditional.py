"""Entity tags, conditional requests and ids that the client chose: edits and retries are safe."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from uuid_utils.compat import uuid7

from tests.support.milestones import MILESTONES
from tests.support.problems import assert_problem
from tests.support.server import Server
from tests.support.tasks import TASKS, create, titles

NEVER = '"1"'
WRITES = [("PATCH", "", {"title": "changed"}), ("DELETE", "", None), ("POST", "/toggle", None)]
each_write = pytest.mark.parametrize(("method", "suffix", "body"), WRITES)


# Of what is no list of tags (RFC 9110, section 8.8.3), no part counts: where {} is the current one.
MALFORMED = [
    "{}x",
    "x{}",
    "{} {}",
    "w/{}",
    "W/ {}",
    "W/W/{}",
    '"1, {}',
    "*, {}",
    "{}, *",
    "{}; *",
    "\xa0{}",
    "{}\x85",
    "\xa0*",
]


def lines(name: bytes, value: str) -> list[tuple[bytes, bytes]]:
    """A header with this value, which comes again for each of its lines."""
    return [(name, line.encode("latin-1")) for line in value.split("\n")]


def tag_of(client: httpx.Client, task: dict[str, object]) -> str:
    """The current entity tag of a task."""
    return client.get(f"{TASKS}/{task['id']}").headers["etag"]


def test_an_entity_tag_is_the_same_wherever_the_task_is_shown(alice: httpx.Client) -> None:
    created = alice.post(TASKS, json={"title": "x"})
    url = created.headers["location"]

    assert created.headers["etag"] == alice.get(url).headers["etag"]
    assert alice.patch(url, json={}).headers["etag"] == created.headers["etag"]


def test_an_entity_tag_changes_with_every_change(alice: httpx.Client) -> None:
    created = alice.post(TASKS, json={"title": "x"})
    url = created.headers["location"]

    tags = [created.headers["etag"]]
    for _ in range(20):
        tags.append(alice.patch(url, json={"title": "x"}).headers["etag"])
        tags.append(alice.post(f"{url}/toggle").headers["etag"])
    assert len(set(tags)) == 41


def id_of(time: datetime) -> str:
    """A UUIDv7 that was made at a time."""
    milliseconds = int(time.timestamp() * 1000)
    return str(UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62))


def test_another_task_with_the_same_id_has_another_entity_tag(alice: httpx.Client) -> None:
    for id_ in (str(uuid7()), id_of(datetime.now(UTC) + timedelta(hours=23))):
        first = alice.post(TASKS, json={"id": id_, "title": "first"})
        alice.delete(first.headers["location"])
        second = alice.post(TASKS, json={"id": id_, "title": "second"})

        assert second.status_code == 201
        assert second.headers["etag"] != first.headers["etag"]


def test_if_none_match_answers_304_if_the_client_has_the_task_as_it_is(alice: httpx.Client) -> None:
    task = create(alice)
    tag = tag_of(alice, task)

    for form in ("{}", "W/{}", '"other", {}', ',"a,b" ,\t{},', '"1"\n{}', '{}\nW/"1"', "*"):
        headers = lines(b"If-None-Match", form.format(tag))
        response = alice.get(f"{TASKS}/{task['id']}", headers=headers)
        assert (response.status_code, response.content) == (304, b""), form
        assert response.headers["etag"] == tag


def test_if_none_match_answers_200_once_the_task_has_changed(alice: httpx.Client) -> None:
    task = create(alice)
    tag = tag_of(alice, task)
    alice.post(f"{TASKS}/{task['id']}/toggle")

    for value in (tag, NEVER, f"W/{tag}", f'{tag}\n"1"', "nonsense", "", '"*"'):
        headers = lines(b"If-None-Match", value)
        response = alice.get(f"{TASKS}/{task['id']}", headers=headers)
        assert response.status_code == 200, value
        assert response.json()["completed"] is True


def test_if_none_match_answers_200_to_what_is_no_list_of_tags(alice: httpx.Client) -> None:
    task = create(alice)
    tag = tag_of(alice, task)

    for form in MALFORMED:
        headers = lines(b"If-None-Match", form.format(tag, tag))
        response = alice.get(f"{TASKS}/{task['id']}", headers=headers)
        assert response.status_code == 200, form


def test_if_none_match_answers_404_if_there_is_no_task(alice: httpx.Client) -> None:
    response = alice.get(f"{TASKS}/{uuid4()}", headers={"If-None-Match": "*"})

    assert response.status_code == 404


@each_write
def test_if_match_lets_a_write_pass_if_the_task_is_as_expected(
    alice: httpx.Client, method: str, suffix: str, body: dict[str, str] | None
) -> None:
    for form in ("{}", '"1", {}', "*", '{} , "2"', '"é", , "a,b" ,\t{},', '"1"\n{}', '{}\n"1"'):
        task = create(alice)
        value = form.format(tag_of(alice, task))
        url = f"{TASKS}/{task['id']}{suffix}"
        headers = lines(b"If-Match", value)
        response = alice.request(method, url, json=body, headers=headers)
        assert response.is_success, value


@each_write
def test_if_match_answers_412_and_changes_nothing_if_the_task_has_moved_on(
    alice: httpx.Client, method: str, suffix: str, body: dict[str, str] | None
) -> None:
    task = create(alice)
    old = tag_of(alice, task)
    moved_on = alice.patch(f"{TASKS}/{task['id']}", json={"description": "moved on"}).json()
    new = tag_of(alice, task)

    none = [old, NEVER, f"W/{new}", f'{old}\nW/{new}\n"2"', f'"0{new[1:]}']
    none += ["nonsense", "", '""', '"*"', '"zz"', f'"{"f" * 15}"', f'"{"f" * 900}"', "*\n*"]
    for value in (*none, *(form.format(new, new) for form in MALFORMED)):
        url = f"{TASKS}/{task['id']}{suffix}"
        headers = lines(b"If-Match", value)
        response = alice.request(method, url, json=body, headers=headers)
        assert response.status_code == 412, value
        assert response.headers["content-type"] == "application/problem+json"
    assert alice.get(f"{TASKS}/{task['id']}").json() == moved_on


def test_if_match_holds_for_an_update_of_nothing(alice: httpx.Client) -> None:
    url = f"{TASKS}/{create(alice)['id']}"
    tag = alice.get(url).headers["etag"]

    assert alice.patch(url, json={}, headers={"If-Match": tag}).status_code == 200
    assert alice.patch(url, json={}, headers={"If-Match": NEVER}).status_code == 412


@each_write
def test_if_match_answers_404_for_a_strangers_task_as_for_none(
    alice: httpx.Client,
    bob: httpx.Client,
    method: str,
    suffix: str,
    body: dict[str, str] | None,
) -> None:
    task = create(alice)
    tag = tag_of(alice, task)

    for value in (tag, NEVER, "*"):
        for id_ in (task["id"], uuid4()):
            url = f"{TASKS}/{id_}{suffix}"
            response = bob.request(method, url, json=body, headers={"If-Match": value})
            assert response.status_code == 404
    assert alice.get(f"{TASKS}/{task['id']}").json() == task


def test_if_match_lets_one_of_several_edits_pass(
    server: Server, alice: httpx.Client, owner: str
) -> None:
    def edit(number: int) -> int:
        with server.client(owner) as client:
            headers = {"If-Match": tag}
            return client.patch(url, json={"title": str(number)}, headers=headers).status_code

    for _ in range(5):
        url = f"{TASKS}/{create(alice)['id']}"
        tag = alice.get(url).headers["etag"]
        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(edit, range(4))) == [200, 412, 412, 412]


@each_write
def test_if_match_costs_no_further_statement(
    server: Server,
    alice: httpx.Client,
    method: str,
    suffix: str,
    body: dict[str, str] | None,
) -> None:
    task = create(alice)
    absent = {**task, "id": uuid4()}

    for item, value, statuses in (
        (absent, "*", {404}),
        (absent, NEVER, {404}),
        (task, NEVER, {412}),
        (task, tag_of(alice, task), {200, 204}),
    ):
        url = f"{TASKS}/{item['id']}{suffix}"
        with server.wire.recording() as sent:
            response = alice.request(method, url, json=body, headers={"If-Match": value})
        assert sent.executions == 1
        assert response.status_code in statuses


def test_without_if_match_the_last_write_wins(
    server: Server, alice: httpx.Client, owner: str
) -> None:
    url = f"{TASKS}/{create(alice)['id']}"
    with server.client(owner) as another:
        for client, title in ((alice, "first"), (another, "second"), (alice, "last")):
            assert client.get(url).json()["title"] != title
            assert client.patch(url, json={"title": title}).status_code == 200
        assert another.post(f"{url}/toggle").json()["title"] == "last"
        assert another.delete(url).status_code == 204


def test_a_new_resource_has_entity_tags_and_conditions(alice: httpx.Client) -> None:
    milestone = {"task_id": create(alice)["id"], "name": "Start", "weight": 1}
    created = alice.post(MILESTONES, json=milestone)
    url, old = created.headers["location"], created.headers["etag"]
    changed = alice.patch(url, json={"name": "End"}, headers={"If-Match": old})
    new = changed.headers["etag"]

    assert changed.status_code == 200
    assert alice.get(url, headers={"If-None-Match": old}).headers["etag"] == new
    assert alice.get(url, headers={"If-None-Match": new}).status_code == 304
    for value, statuses in ((old, (412, 412)), (new, (200, 412)), ("*", (200, 204))):
        condition = {"If-Match": value}
        update = alice.patch(url, json={"name": value}, headers=condition)
        delete = alice.delete(url, headers=condition)
        assert (update.status_code, delete.status_code) == statuses, value
    assert alice.get(url).status_code == 404


def test_a_hundred_toggles_at_once_end_where_they_began(
    server: Server, alice: httpx.Client, owner: str
) -> None:
    task = create(alice)

    def toggle(_: int) -> int:
        with server.client(owner) as client:
            return client.post(f"{TASKS}/{task['id']}/toggle").status_code

    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(toggle, range(100))) == {200}
    assert alice.get(f"{TASKS}/{task['id']}").json()["completed"] is False


def test_a_chosen_id_is_the_id_of_the_task(alice: httpx.Client) -> None:
    chosen = uuid7()

    response = alice.post(TASKS, json={"id": str(chosen).upper(), "title": "x"})

    assert response.status_code == 201
    assert UUID(response.json()["id"]) == chosen
    assert response.headers["location"] == f"{TASKS}/{chosen}"


def test_a_chosen_id_makes_a_retry_safe(alice: httpx.Client) -> None:
    task = create(alice, id=str(uuid7()))

    response = alice.post(TASKS, json={"id": task["id"], "title": "again"})

    assert_problem(response, 409, "/body/id")
    assert alice.get(TASKS).json()["items"] == [task]


def test_a_retry_says_where_the_task_is_and_in_which_version(alice: httpx.Client) -> None:
    body = {"id": str(uuid7()), "title": "x"}
    url = alice.post(TASKS, json=body).headers["location"]
    changed = alice.patch(url, json={"completed": True})

    again = alice.post(TASKS, json=body)

    assert (again.status_code, again.headers["location"]) == (409, url)
    assert again.headers["etag"] == changed.headers["etag"]


def test_a_chosen_id_is_free_to_another_owner_and_neither_learns_of_the_other(
    alice: httpx.Client, bob: httpx.Client
) -> None:
    chosen = str(uuid7())
    hers = alice.post(TASKS, json={"id": chosen, "title": "hers"})
    his = bob.post(TASKS, json={"id": chosen, "title": "his"})

    assert (hers.status_code, his.status_code) == (201, 201)
    assert (his.json()["id"], his.json()["title"]) == (chosen, "his")
    for client, created in ((alice, hers), (bob, his)):
        assert client.get(TASKS).json()["items"] == [created.json()]
        assert client.post(TASKS, json={"id": chosen, "title": "again"}).status_code == 409
    bob.delete(f"{TASKS}/{chosen}")
    assert alice.get(f"{TASKS}/{chosen}").json() == hers.json()
    assert bob.get(f"{TASKS}/{chosen}").status_code == 404


def test_a_chosen_id_is_used_once_however_many_try(server: Server, owner: str) -> None:
    body = {"id": str(uuid7()), "title": "x"}

    def attempt(_: int) -> int:
        with server.client(owner) as client:
            return client.post(TASKS, json=body).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(attempt, range(8))) == [201] + [409] * 7


def test_a_chosen_id_is_used_once_by_each_owner_at_the_same_time(
    server: Server, owner: str
) -> None:
    body = {"id": str(uuid7()), "title": "x"}

    def attempt(number: int) -> int:
        with server.client(f"{owner}-{number % 4}") as client:
            return client.post(TASKS, json=body).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(attempt, range(8))) == [201] * 4 + [409] * 4


def test_chosen_ids_order_the_list(alice: httpx.Client) -> None:
    ids = sorted(str(uuid7()) for _ in range(5))
    for id_ in (ids[3], ids[0], ids[4], ids[1], ids[2]):
        create(alice, id_, id=id_)

    assert titles(alice, sort="created_at") == ids
    created = [item["created_at"] for item in alice.get(TASKS).json()["items"]]
    assert created == sorted(created, reverse=True)


@pytest.mark.parametrize(
    "bad",
    [
        str(uuid4()),
        str(uuid7()).replace("-", ""),
        f"{{{uuid7()}}}",
        f"urn:uuid:{uuid7()}",
        "ffffffff-ffff-7fff-bfff-ffffffffffff",
        "c0000000-0000-7000-8000-000000000000",
        "0fffffff-ffff-7fff-bfff-ffffffffffff",
        id_of(datetime.now(UTC) + timedelta(days=1, hours=1)),
        "",
        1,
        None,
    ],
    ids=[
        "v4",
        "no hyphens",
        "braces",
        "urn",
        "10889",
        "8659",
        "2527",
        "in two days",
        "empty",
        "number",
        "null",
    ],
)
def test_a_chosen_id_is_a_uuid_of_version_7(alice: httpx.Client, bad: object) -> None:
    response = alice.post(TASKS, json={"id": bad, "title": "x"})

    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == ["/body/id"]


def test_an_id_is_not_changed_later(alice: httpx.Client) -> None:
    task = create(alice)

    response = alice.patch(f"{TASKS}/{task['id']}", json={"id": str(uuid7())})

    assert response.status_code == 422
