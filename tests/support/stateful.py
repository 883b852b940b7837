"""Several owners who do anything in any order, and a model in memory of what they must see."""

import sys
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, NamedTuple
from unicodedata import normalize
from uuid import UUID, uuid4

import httpx
import psycopg
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import URL

from tests.support import identity
from tests.support.database import connect
from tests.support.paging import COMPARISONS
from tests.support.server import Server
from tests.support.tasks import TASKS

Task = dict[str, Any]
Query = dict[str, Any]

NEVER = '"1"'
"""An entity tag that no task ever has."""

PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(hours=23)

# The accent alone makes a letter before it another one, which is written in two ways.
TITLES = st.text("abAB%_\\' éÉe\u0301", min_size=1, max_size=6).filter(str.strip)
DESCRIPTIONS = st.none() | st.text("abAB%_\\'\n🎉É\u0301", max_size=6)
SEARCHES = st.text("abAB%_\\'éÉe\u0301", max_size=2)

NEW_TASKS = st.fixed_dictionaries(
    {"title": TITLES}, optional={"description": DESCRIPTIONS, "completed": st.booleans()}
)
CHANGES: st.SearchStrategy[Task] = st.one_of(
    st.just({}),
    NEW_TASKS,
    st.fixed_dictionaries({"description": DESCRIPTIONS}),
    st.fixed_dictionaries({"completed": st.booleans()}),
    st.fixed_dictionaries({"title": TITLES | st.none(), "completed": st.booleans() | st.none()}),
)
# Most tasks get an id that the client chose: one of a few, so that they meet.
CHOICES = st.sampled_from([None, *range(6)])
SORTS = ["updated_at", "-updated_at", "created_at", "-created_at"]
QUERIES: st.SearchStrategy[Query] = st.one_of(
    st.sampled_from([{"sort": sort} for sort in SORTS]),
    st.fixed_dictionaries({"q": st.sampled_from("abAB%_\\'éÉ")}),
    st.fixed_dictionaries(
        {"sort": st.sampled_from(SORTS)},
        optional={"completed": st.sampled_from(["true", "false"]), "q": SEARCHES},
    ),
)
# Which tasks to change or to delete, in words that stand for values of a task.
SELECTIONS: st.SearchStrategy[Query] = st.one_of(
    st.fixed_dictionaries({"id__in": st.just("{ids}")}, optional={"q": SEARCHES}),
    st.fixed_dictionaries({"completed": st.sampled_from(["true", "false"])}),
    st.fixed_dictionaries({"q": st.sampled_from("abAB%_\\'éÉ")}),
    st.fixed_dictionaries({"created_at__gte": st.just("{created_at}")}),
    st.dictionaries(
        st.sampled_from([
            f"{field}__{operator}"
            for field in ("created_at", "updated_at")
            for operator in ("gt", "gte", "lt", "lte")
        ]),
        st.sampled_from(["{created_at}", "{updated_at}"]),
        min_size=1,
        max_size=2,
    ),
)  # fmt: skip
LIMITS = st.sampled_from([2, 4, 100])
OWNERS = st.integers(0, 2)

# Whoever asks is the task's owner, or one of the two others.
STRANGERS = st.sampled_from([0, 0, 0, 0, 1, 2])

DELETES = st.sampled_from([False, False, True])

DEFAULTS = {"description": None, "completed": False}

FORMS = ["{current}", "{earlier}", "{other}", "*", f"{NEVER}, {{current}}", "W/{current}"]
CONDITIONS = st.sampled_from([None, None, None, *FORMS])


def is_valid(change: Task) -> bool:
    """Tell whether a change sets nothing to null that cannot be null."""
    return change.get("title", "") is not None and change.get("completed", "") is not None


class Ref(NamedTuple):
    """An id that was used by an owner, who may have deleted the task since."""

    owner: int
    id: str


class Bookmark(NamedTuple):
    """Where somebody stopped to read a list."""

    owner: int
    query: Query
    limit: int
    cursor: str
    last: Task


@dataclass
class Owner:
    """What the API should know of one owner."""

    name: str = field(default_factory=lambda: f"owner-{uuid4()}")
    tasks: dict[str, Task] = field(default_factory=dict)
    tags: dict[str, list[str]] = field(default_factory=dict)
    """All entity tags that were given out for an id, the newest last."""

    def tag(self, id_: str) -> str | None:
        """The entity tag that a task has now."""
        return self.tags[id_][-1] if id_ in self.tasks else None

    def listed(self, query: Query) -> list[Task]:
        """The list that a query gives."""
        sort = query.get("sort", "-created_at")
        found = [task for task in self.tasks.values() if matches(task, query)]
        return sorted(found, key=sort_key(sort), reverse=sort.startswith("-"))


def matches(task: Task, query: Query) -> bool:
    """Tell whether a task is among those that a query asks for."""
    searched = in_one_form(f"{task['title']}\0{task['description'] or ''}")
    completed = query.get("completed", str(task["completed"]).lower())
    is_found = in_one_form(query.get("q", "")) in searched
    is_one = task["id"] in query.get("id__in", [task["id"]])
    return (
        is_found
        and is_one
        and completed == str(task["completed"]).lower()
        and all(
            COMPARISONS[operator](moment(task[field]), moment(str(value)))
            for name, value in query.items()
            for field, _, operator in [name.partition("__")]
            if operator in COMPARISONS
        )
    )


def moment(time: str) -> datetime:
    """Read a time."""
    return datetime.fromisoformat(time)


def in_one_form(text: str) -> str:
    """Return a text in one case, and in one form of Unicode."""
    return normalize("NFC", text).casefold()


def sort_key(sort: str) -> Callable[[Task], Any]:
    """Return the function that puts tasks in order."""
    if sort.endswith("created_at"):
        return lambda task: task["id"]
    return lambda task: (datetime.fromisoformat(task["updated_at"]), task["id"])


def equal(actual: object, expected: object, response: httpx.Response) -> None:
    """Fail, and say what was asked and answered, unless two values are equal."""
    if actual != expected:
        request = response.request
        raise AssertionError(
            f"{request.method} {request.url} {dict(request.headers)} {request.content!r}\n"
            f"answered {response.status_code} {dict(response.headers)} {response.text}\n"
            f"with     {actual}\n"
            f"where it had to be {expected}"
        )


class Owners(RuleBasedStateMachine):
    """Three owners, who know each other's ids, entity tags and cursors."""

    http: ClassVar[httpx.Client]
    database: ClassVar[psycopg.Connection]

    refs: Bundle[Ref] = Bundle("refs")
    bookmarks: Bundle[Bookmark] = Bundle("bookmarks")

    def __init__(self) -> None:
        super().__init__()
        self.owners = [Owner() for _ in range(3)]
        self.newest = ""
        self.example = uuid4().int >> 80

    def teardown(self) -> None:
        if sys.exc_info() == (None, None, None):
            for number, owner in enumerate(self.owners):
                self.page(number, {}, 100, {}, owner.listed({}))

    @initialize(target=refs, body=NEW_TASKS)
    def begin(self, body: Task) -> MultipleResults[Ref]:
        ids = [None, self.chosen_id(1)]
        return multiple(*(self.create_one(number, body, id_) for number in range(3) for id_ in ids))

    @rule(
        target=refs,
        number=OWNERS,
        choices=st.lists(CHOICES, min_size=1, max_size=4),
        body=NEW_TASKS,
    )
    def create(self, number: int, choices: list[int | None], body: Task) -> MultipleResults[Ref]:
        ids = [None if choice is None else self.chosen_id(choice) for choice in choices]
        return multiple(*(self.create_one(number, body, id_) for id_ in ids))

    @rule(
        target=refs,
        number=OWNERS,
        choices=st.lists(CHOICES, min_size=1, max_size=4),
        bodies=st.lists(NEW_TASKS, min_size=4, max_size=4),
    )
    def create_at_once(
        self, number: int, choices: list[int | None], bodies: list[Task]
    ) -> MultipleResults[Ref]:
        owner, ids = self.owners[number], [c if c is None else self.chosen_id(c) for c in choices]
        items = [
            {**body, **({} if id_ is None else {"id": id_})}
            for body, id_ in zip(bodies, ids, strict=False)
        ]
        taken = [
            f"/body/items/{n}/id"
            for n, id_ in enumerate(ids)
            if id_ is not None and (id_ in owner.tasks or id_ in ids[:n])
        ]

        response = self.send(number, "POST", "/batch", json={"items": items})

        if taken:
            self.refused(response, 409)
            equal([error["pointer"] for error in response.json()["errors"]], taken, response)
            return multiple()
        equal(response.status_code, 201, response)
        created = response.json()["items"]
        equal(len(created), len(items), response)
        for item, shown, id_ in zip(items, created, ids, strict=True):
            if id_ is None:
                equal(shown["id"] > self.newest, True, response)
                self.newest = shown["id"]
            self.stored(number, {**DEFAULTS, **item, "id": shown["id"]}, shown, response)
        return multiple(*(Ref(number, shown["id"]) for shown in created))

    @rule(
        number=OWNERS, selection=SELECTIONS, some=st.lists(refs, min_size=1, max_size=4),
        change=CHANGES.filter(is_valid),
        delete=DELETES,
    )  # fmt: skip
    def change_or_delete_many(
        self, number: int, selection: Query, some: list[Ref], change: Task, *, delete: bool
    ) -> None:
        owner, query = self.owners[number], self.query(selection, some)
        found = [id_ for id_, task in owner.tasks.items() if matches(task, query)]

        method, body = ("DELETE", None) if delete else ("PATCH", change)
        response = self.send(number, method, params=query, json=body)

        equal(response.status_code, 200, response)
        is_written = delete or bool(change)
        equal(response.json(), {"count": len(found) * is_written}, response)
        for id_ in found:
            if delete:
                del owner.tasks[id_]
                del owner.tags[id_]
            elif change:
                self.changed(number, id_, change, self.send(number, "GET", f"/{id_}"))

    @rule(ref=refs, stranger=STRANGERS, condition=CONDITIONS, other=refs)
    def get(self, ref: Ref, stranger: int, condition: str | None, other: Ref) -> None:
        number, value = (ref.owner + stranger) % 3, self.value(condition, ref, other)
        owner = self.owners[number]
        tag = owner.tag(ref.id)

        response = self.send(number, "GET", f"/{ref.id}", headers=header("If-None-Match", value))

        if tag is None:
            self.refused(response, 404)
            return
        if value is not None and (value == "*" or tag in value.replace("W/", "").split(", ")):
            equal((response.status_code, response.content), (304, b""), response)
        else:
            equal((response.status_code, response.json()), (200, owner.tasks[ref.id]), response)
        equal(response.headers["etag"], tag, response)

    @rule(ref=refs, stranger=STRANGERS, change=CHANGES, condition=CONDITIONS, other=refs)
    def update(
        self, ref: Ref, stranger: int, change: Task, condition: str | None, other: Ref
    ) -> None:
        number, value = (ref.owner + stranger) % 3, self.value(condition, ref, other)
        nulls = [name for name in ("title", "completed") if change.get(name, "") is None]

        response = self.send(
            number, "PATCH", f"/{ref.id}", json=change, headers=header("If-Match", value)
        )

        if nulls:
            self.refused(response, 422)
            pointers = [error["pointer"] for error in response.json()["errors"]]
            equal(pointers, [f"/body/{name}" for name in nulls], response)
        elif self.may_write(number, ref.id, value, response):
            self.changed(number, ref.id, change, response)

    @rule(ref=refs, stranger=STRANGERS, delete=DELETES, condition=CONDITIONS, other=refs)
    def toggle_or_delete(
        self, ref: Ref, stranger: int, *, delete: bool, condition: str | None, other: Ref
    ) -> None:
        number, value = (ref.owner + stranger) % 3, self.value(condition, ref, other)
        owner = self.owners[number]
        method, path = ("DELETE", f"/{ref.id}") if delete else ("POST", f"/{ref.id}/toggle")

        response = self.send(number, method, path, headers=header("If-Match", value))

        if not self.may_write(number, ref.id, value, response):
            return
        if delete:
            equal((response.status_code, response.content), (204, b""), response)
            del owner.tasks[ref.id]
            del owner.tags[ref.id]
        else:
            flipped = not owner.tasks[ref.id]["completed"]
            self.changed(number, ref.id, {"completed": flipped}, response)

    @rule(
        target=bookmarks,
        number=OWNERS,
        query=QUERIES,
        limit=LIMITS,
        at_once=st.booleans(),
        selection=st.just({}) | SELECTIONS,
        some=st.lists(refs, min_size=1, max_size=4),
    )
    def list_all_pages(
        self,
        number: int,
        query: Query,
        limit: int,
        selection: Query,
        some: list[Ref],
        *,
        at_once: bool,
    ) -> Bookmark | MultipleResults[Bookmark]:
        if at_once:
            self.change_three_at_once(number)
        query = {**self.query(selection, some), **query}
        whole = rest = self.owners[number].listed(query)
        first = cursor = self.page(number, query, limit, {}, rest)
        while cursor is not None:
            rest = rest[limit:]
            cursor = self.page(number, query, limit, {"cursor": cursor}, rest)
        return self.bookmark(number, query, limit, first, whole)

    @rule(target=bookmarks, mark=bookmarks, stranger=STRANGERS)
    def go_on_with_a_list(
        self, mark: Bookmark, stranger: int
    ) -> Bookmark | MultipleResults[Bookmark]:
        _, query, limit, cursor, last = mark
        number = (mark.owner + stranger) % 3
        sort = query.get("sort", "-created_at")
        key, backwards = sort_key(sort), sort.startswith("-")
        rest = [
            task
            for task in self.owners[number].listed(query)
            if (key(task) < key(last) if backwards else key(task) > key(last))
        ]
        following = self.page(number, query, limit, {"cursor": cursor}, rest)
        self.previous_page(number, query, limit, cursor, rest)
        return self.bookmark(number, query, limit, following, rest)

    def chosen_id(self, choice: int) -> str:
        """An id that a client of this example may choose."""
        milliseconds = int((FUTURE if choice else PAST).timestamp() * 1000)
        version, variant = 7 << 76, 2 << 62
        return str(UUID(int=milliseconds << 80 | version | variant | self.example << 8 | choice))

    def create_one(self, number: int, body: Task, id_: str | None) -> Ref:
        """Create a task, with a chosen id or without."""
        chosen = {} if id_ is None else {"id": id_}
        response = self.send(number, "POST", json={**body, **chosen})

        if id_ is not None and id_ in self.owners[number].tasks:
            tag = self.owners[number].tag(id_)
            self.refused(response, 409, {"etag": tag, "location": f"{TASKS}/{id_}"})
            equal([error["pointer"] for error in response.json()["errors"]], ["/body/id"], response)
            return Ref(number, id_)
        equal(response.status_code, 201, response)
        if id_ is None:
            id_ = str(response.json()["id"])
            equal(id_ > self.newest, True, response)
            self.newest = id_
        self.created(number, id_, body, response)
        return Ref(number, id_)

    def change_three_at_once(self, number: int) -> None:
        """As an import does, and fast clients may: then the id decides the order."""
        owner = self.owners[number]
        ids = list(owner.tasks)[-3:]
        self.database.execute(
            "UPDATE task SET updated_at = interval '1 second'"
            " + (SELECT max(updated_at) FROM task WHERE owner_id = %(owner)s)"
            " WHERE owner_id = %(owner)s AND id = ANY(%(ids)s::uuid[])",
            {"owner": owner.name, "ids": ids},
        )
        for id_ in ids:
            response = self.send(number, "GET", f"/{id_}")
            equal(response.status_code, 200, response)
            self.shown(number, owner.tasks[id_], response)

    def send(self, number: int, method: str, path: str = "", **parts: Any) -> httpx.Response:
        """Send a request of one owner."""
        headers = identity.headers(self.owners[number].name) | parts.pop("headers", {})
        return self.http.request(method, TASKS + path, headers=headers, **parts)

    def value(self, condition: str | None, ref: Ref, other: Ref) -> str | None:
        """The value of an If-Match or If-None-Match, with entity tags that there have been."""
        if condition is None:
            return None
        tags = [NEVER, NEVER, *self.owners[ref.owner].tags.get(ref.id, [])]
        others = [NEVER, *self.owners[other.owner].tags.get(other.id, [])]
        return condition.format(current=tags[-1], earlier=tags[-2], other=others[-1])

    def created(self, number: int, id_: str, body: Task, response: httpx.Response) -> None:
        """Check a response that shows a new task, and note the task."""
        equal(response.headers["location"], f"{TASKS}/{id_}", response)
        self.stored(number, {**DEFAULTS, **body, "id": id_}, response.json(), response)
        equal(response.headers["etag"], response.json()["etag"], response)

    def stored(self, number: int, task: Task, shown: Task, response: httpx.Response) -> None:
        """Check how a new task is shown, and note it."""
        milliseconds = timedelta(milliseconds=UUID(task["id"]).int >> 80)
        expected = datetime.fromtimestamp(0, UTC) + milliseconds
        equal(moment(shown["created_at"]), expected, response)
        self.noted(number, {**task, "created_at": shown["created_at"]}, shown, response)

    def may_write(
        self, number: int, id_: str, if_match: str | None, response: httpx.Response
    ) -> bool:
        """Tell whether a write had to succeed, and check the response if it had to fail."""
        tag = self.owners[number].tag(id_)
        if tag is None:
            self.refused(response, 404)
        elif if_match is not None and if_match != "*" and tag not in if_match.split(", "):
            self.refused(response, 412)
        else:
            return True
        return False

    def changed(self, number: int, id_: str, changes: Task, response: httpx.Response) -> None:
        """Check a response that shows a task after changes, and note them."""
        owner = self.owners[number]
        before = owner.tasks[id_]
        equal(response.status_code, 200, response)
        if changes:
            updated_at = datetime.fromisoformat(response.json()["updated_at"])
            later = updated_at > datetime.fromisoformat(before["updated_at"])
            equal(later, True, response)
            self.shown(number, {**before, **changes}, response)
        else:
            equal((response.json(), response.headers["etag"]), (before, owner.tag(id_)), response)

    def shown(self, number: int, task: Task, response: httpx.Response) -> None:
        """Check a response that shows a new version of a task, and note it."""
        equal(response.headers["etag"], response.json()["etag"], response)
        self.noted(number, task, response.json(), response)

    def noted(self, number: int, task: Task, shown: Task, response: httpx.Response) -> None:
        """Check how a new version of a task is shown, and note it."""
        owner, tag = self.owners[number], shown["etag"]
        task = {**task, "updated_at": shown["updated_at"], "etag": tag}
        equal(shown, task, response)
        tags = owner.tags.setdefault(task["id"], [])
        equal(tag in tags, False, response)
        tags.append(tag)
        owner.tasks[task["id"]] = task

    def refused(
        self, response: httpx.Response, status: int, headers: dict[str, str | None] | None = None
    ) -> None:
        """Check a response that is an error, and what its headers say of a task."""
        equal(response.status_code, status, response)
        equal(response.headers["content-type"], "application/problem+json", response)
        equal(response.json()["status"], status, response)
        for name in ("etag", "location"):
            equal(response.headers.get(name), (headers or {}).get(name), response)

    def page(
        self, number: int, query: Query, limit: int, cursor: Query, rest: list[Task]
    ) -> str | None:
        """Check a page of a list of which this rest is left, and return the next cursor."""
        parameters = {**query, **cursor, "limit": limit, "total": "true"}
        response = self.send(number, "GET", params=parameters)
        equal(response.status_code, 200, response)
        page = response.json()
        equal(page["total"], len(self.owners[number].listed(query)), response)
        equal(page["items"], rest[:limit], response)
        equal(page["next_cursor"] is not None, len(rest) > limit, response)
        following: str | None = page["next_cursor"]
        return following

    def previous_page(
        self, number: int, query: Query, limit: int, cursor: str, rest: list[Task]
    ) -> None:
        """Check the page before one of which this rest of a list is left."""
        parameters = {**query, "limit": limit}
        response = self.send(number, "GET", params={**parameters, "cursor": cursor})
        back = {"cursor": response.json()["previous_cursor"]}
        listed = self.owners[number].listed(query)
        before = listed[: len(listed) - len(rest)]

        response = self.send(number, "GET", params={**parameters, **back})

        page = response.json()
        equal(page["items"], before[-limit:], response)
        equal(page["previous_cursor"] is not None, len(before) > limit, response)
        again = {"cursor": page["next_cursor"]}
        response = self.send(number, "GET", params={**parameters, **again})
        equal(response.json()["items"], rest[:limit], response)

    def query(self, selection: Query, some: list[Ref]) -> Query:
        """A query by the ids, and by the times, of tasks that there have been."""
        ids = [ref.id for ref in some]
        task = self.owners[some[0].owner].tasks.get(ids[0], {})
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        times = {name: task.get(name, now) for name in ("created_at", "updated_at")}
        return {
            name: ids if name == "id__in" else value.format(**times)
            for name, value in selection.items()
        }

    def bookmark(
        self, number: int, query: Query, limit: int, cursor: str | None, rest: list[Task]
    ) -> Bookmark | MultipleResults[Bookmark]:
        """Note where a page ended, if it was not the last."""
        if cursor is None:
            return multiple()
        return Bookmark(number, query, limit, cursor, rest[limit - 1])


def header(name: str, value: str | None) -> dict[str, str]:
    """A header, unless it has no value."""
    return {} if value is None else {name: value}


def explore(
    server: Server,
    database: URL,
    *,
    number: Hashable,
    examples: int,
    phases: tuple[Phase, ...] = (Phase.generate,),
) -> None:
    """Let owners do anything for a while, and raise AssertionError with what went wrong.

    Args:
        server: the server to explore.
        database: its database.
        number: the same number, or text, does the same again.
        examples: how often to begin anew, with new owners.
        phases: with ``Phase.shrink``, a failure takes minutes to be reduced to its few steps.
    """
    with server.client() as client, connect(database) as connection:
        connected = type("Owners", (Owners,), {"http": client, "database": connection})
        machine = seed(number)(connected)
        run_state_machine_as_test(
            machine,
            settings=settings(
                derandomize=True,
                deadline=None,
                max_examples=examples,
                stateful_step_count=30,
                phases=phases,
                suppress_health_check=[HealthCheck.too_slow],
            ),
        )
