"""What a model may declare, and what is refused because no column or client could hold to it."""

from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from enum import IntEnum
from ipaddress import IPv4Address
from math import inf
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from pydantic import (
    MISSING,
    AwareDatetime,
    HttpUrl,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
)
from sqlmodel import Field, SQLModel

from app.api.identity import current_owner
from app.kit.api.router import OwnedRouter, owned_crud_router
from app.kit.models.fields import BigInteger, Date, Float, Id, Integer, Line, References, Text, Time
from app.kit.models.owned import CreateSchema, Owned, ReadSchema, UpdateSchema
from tests.support.migrations import MakeDatabase, migrated
from tests.support.paging import pages
from tests.support.problems import JSON, assert_problem
from tests.support.server import serve

pytestmark = pytest.mark.usefixtures("declared")

Word = Annotated[str, StringConstraints(max_length=9, pattern=f"^({'a|' * 600}b)$")]
NOT_TIMES: list[object] = [
    "2026-01-01T00:00:00", "2026-01-01", "2026-01-01T00:00:00+00:00", "2026-01-01 00:00:00Z", 5,
    "5", "9999-12-31T23:59:59-23:00", "0000-01-01T00:00:00Z", "2026-02-30T00:00:00Z",
    "2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00.1234567Z", 1.5, True, [],
]  # fmt: skip
WITH_NUL = [
    r"^https?://[^\s]+$", "a", "^a", "a$", "^a|b$", "^(a|^b)|c$", "^.*$", r"^\S$", r"^[\W]$",
    r"^\D$", r"^\x00$", r"^[\x00-\x20]$", r"^a\$", "^[^]a]$", r"^\\.$", r"^[[:cntrl:]]$",
    r"^\p{L}$", "^\0$",
]  # fmt: skip
WITHOUT_NUL = [
    r"^https?://[^\x00-\x20]+$", "^#[0-9a-f]{6}$", r"^a$|^b\.$", "^(a|[|(]b)$", r"^[^]\x00]$",
    r"^\$$", "^[^\0]+$", "^(?:a(b|c)|d)?$", r"^\(\|\)$", r"^\\d$",
]  # fmt: skip
AMBIGUOUS = [
    r"^\d{4}$", r"^[^\s\x00]$", r"^[^\S\x00]$", r"^\\\w$", r"^[^\W\x00]$", r"^[^\D\x00]$", r"^a\b$",
    r"^a\Bb$",
]  # fmt: skip


@pytest.fixture
def declared() -> Iterator[None]:
    """Forget the tables that a test declares."""
    before = set(SQLModel.metadata.tables)
    yield
    for name in set(SQLModel.metadata.tables) - before:
        SQLModel.metadata.remove(SQLModel.metadata.tables[name])


def with_value(kind: object) -> dict[str, Any]:
    """The namespace of a class with a field of this type."""
    return {
        "__annotations__": {"value": kind},
        "__module__": __name__,
    }


def router_of(
    model: type[Owned],
    create_schema: type[CreateSchema] = CreateSchema,
    read_schema: type[ReadSchema] = ReadSchema,
) -> OwnedRouter:
    """The router of a model, at its name and an s."""
    return owned_crud_router(
        model=model,
        create_schema=create_schema,
        update_schema=UpdateSchema,
        read_schema=read_schema,
        owner=current_owner,
        path=f"/{model.__name__.lower()}s",
    )


def document(*models: type[Owned]) -> dict[str, Any]:
    """The document of an application with these models."""
    app = FastAPI()
    for model in models:
        app.include_router(router_of(model))
    return app.openapi()


def test_a_409_is_documented_where_a_declaration_leads_to_it() -> None:
    class Shelf(Owned, table=True):
        unique: ClassVar[tuple[str, ...]] = ("name",)

        name: Annotated[Line, StringConstraints(max_length=100)]

    class Book(Owned, table=True):
        shelf_id: Annotated[Id, References("shelf")]

    paths = document(Shelf, Book)["paths"]

    def has_409(path: str, method: str) -> bool:
        return "409" in paths[path][method]["responses"]

    assert has_409("/shelfs/{id}", "patch")
    assert has_409("/shelfs/{id}", "delete")
    assert not has_409("/books/{id}", "patch")
    assert not has_409("/books/{id}", "delete")


def test_a_model_has_its_article_in_the_document() -> None:
    class Expense(Owned, table=True):
        """Money that is gone."""

    class Unit(Owned, table=True):
        """One of them."""

    paths = document(Expense, Unit)["paths"]
    assert paths["/expenses"]["post"]["summary"] == "Create an expense"
    assert paths["/expenses"]["post"]["description"].startswith("Store an expense ")
    assert paths["/units"]["post"]["summary"] == "Create a unit"
    for method, summary in {"get": "Get", "patch": "Update", "delete": "Delete"}.items():
        assert paths["/expenses/{id}"][method]["summary"] == f"{summary} an expense"


def test_filters_show_their_bounds_in_the_document() -> None:
    class Planet(Owned, table=True):
        filterable: ClassVar[tuple[str, ...]] = ("mass", "name", "moons", "ringed")

        mass: BigInteger | None = None
        name: Annotated[Line, StringConstraints(max_length=10)]
        moons: Annotated[Integer, Field(ge=0)]
        ringed: StrictBool | None

    operation = document(Planet)["paths"]["/planets"]["get"]
    parameters = {item["name"]: item["schema"] for item in operation["parameters"]}
    assert (parameters["mass"]["format"], parameters["mass"]["maximum"]) == ("int64", 2**53 - 1)
    assert (parameters["name"]["maxLength"], parameters["name"]["minLength"]) == (10, 1)
    assert (parameters["moons"]["format"], parameters["moons"]["minimum"]) == ("int32", 0)
    assert parameters["ringed"]["type"] == "boolean"


def test_times_show_an_example_in_the_document() -> None:
    class Alarm(CreateSchema):
        at: Time
        until: Time | MISSING = MISSING
        repeated: Time | MISSING | None = MISSING

    fields = Alarm.model_json_schema()["properties"]
    repeated = fields["repeated"]["anyOf"][0]
    example = "2026-11-22T08:54:25.158000Z"
    for schema in (fields["at"], fields["until"], repeated):
        assert schema["examples"] == [example]


def test_a_sort_order_holds_for_every_kind_of_field(make_database: MakeDatabase) -> None:
    class Event(Owned, table=True):
        sortable: ClassVar[tuple[str, ...]] = (
            *Owned.sortable,
            "at",
            "size",
            "rank",
            "day",
            "place",
        )

        at: Time | None = None
        size: BigInteger | None = None
        rank: Integer | None = None
        day: Date | None = None
        place: Integer = 0
        label: Annotated[Line, Field(max_length=9, default_factory=lambda: "new")]

    class EventCreate(CreateSchema):
        at: Time | MISSING | None = MISSING
        size: BigInteger | MISSING | None = MISSING
        rank: Integer | MISSING | None = MISSING
        day: Date | MISSING | None = MISSING
        place: Integer | MISSING = MISSING

    class EventRead(ReadSchema):
        at: Time | None
        size: BigInteger | None
        rank: Integer | None
        day: Date | None
        place: Integer
        label: Annotated[Line, Field(max_length=9)]

    values: dict[str, list[object]] = {
        "at": [
            "0001-01-01T00:00:00Z",
            "1970-01-01T00:00:00Z",
            "1970-01-01T00:00:00.000125Z",
            "9999-12-31T23:59:59.999999Z",
        ],
        "size": [1 - 2**53, -125, 0, 125, 2**53 - 1],
        "rank": [-(2**31), 1 - 2**31, -125, 0, 125, 2**31 - 2],
        "day": ["0001-01-01", "0001-01-02", "0001-05-05", "9999-12-31"],
        "place": [-(2**31), 1 - 2**31, 2**31 - 2, 2**31 - 1],
    }
    url = migrated(make_database())
    with serve(url) as server:
        server.app.include_router(router_of(Event, EventCreate, EventRead))
        for field, ascending in values.items():
            nulls: list[object] = [] if field == "place" else [None, None]
            with server.client(f"owner-of-{field}") as client:
                for value in (*nulls[1:], *ascending[1::2], *ascending[::2], *nulls[:1]):
                    assert client.post("/events", json={field: value}).status_code == 201
                for sort in (field, f"-{field}"):
                    found = pages(client, "/events", sort=sort, limit=1)
                    ordered = [*ascending, *nulls]
                    expected = ordered if sort == field else ordered[::-1]
                    assert [item[field] for item in found] == expected
                    assert {item["label"] for item in found} == {"new"}
        with server.client("alice") as alice:
            for value in NOT_TIMES:
                assert_problem(alice.post("/events", json={"at": value}), 422, "/body/at")


@pytest.mark.parametrize("use", ["sortable", "filterable", "searchable"])
def test_a_kind_of_field_that_cannot_be_sorted_filtered_or_searched_by_is_refused(use: str) -> None:
    class Wrong(SQLModel):
        at: Time
        ratio: Float

    field = "at" if use == "filterable" else "ratio"
    model = type(
        f"Wrong{use.title()}",
        (Wrong, Owned),
        {use: (field,), "__module__": __name__},
        table=True,
    )
    with pytest.raises(TypeError, match=f"cannot be .*ed by {field}"):
        document(model)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Annotated[StrictInt, Field(ge=0)], "has no bounds: use Integer"),
        (Annotated[StrictInt, Field(ge=0, gt=1)], "has no bounds"),
        (Annotated[StrictInt, Field(le=0, lt=1)], "has no bounds"),
        (StrictInt | None, "has no bounds"),
        (Annotated[Integer, Field(ge=0, le=2**31)], "has bounds beyond .* Integer or BigI"),
        (Annotated[Integer, Field(ge=-(2**31) - 1)], "has bounds beyond"),
        (Annotated[BigInteger, Field(le=2**53)], "has bounds beyond"),
        (Annotated[BigInteger, Field(ge=-(2**53) - 1)], "has bounds beyond"),
        (Annotated[StrictFloat, Field(ge=0)], "has no bounds: use Float"),
        (Annotated[StrictFloat, Field(ge=0, le=inf)], "has no bounds"),
        (str, "may have NUL"),
        *(
            (Annotated[str, StringConstraints(pattern=pattern)], "may have NUL")
            for pattern in WITH_NUL
        ),
        *(
            (Annotated[str, StringConstraints(pattern=pattern)], "has .* in its pattern")
            for pattern in AMBIGUOUS
        ),
        (Annotated[Line, StringConstraints(max_length=501)], "is indexed"),
        (Line, "is indexed: give it a max_length"),
    ],
)
def test_a_field_that_no_column_or_index_can_hold_is_refused(kind: object, why: str) -> None:
    namespace = {**with_value(kind), "filterable": ("value",)}
    with pytest.raises(TypeError, match=rf"(?i)boundless\w+\.value {why}"):
        type(f"Boundless{uuid4().hex}", (Owned,), namespace, table=True)


@pytest.mark.parametrize("pattern", WITHOUT_NUL)
def test_a_pattern_that_everybody_reads_alike_is_allowed(pattern: str) -> None:
    kind = Annotated[str, StringConstraints(pattern=pattern)]
    type("Text", (CreateSchema,), with_value(kind))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Decimal, "Decimal"),
        (Annotated[Decimal, Field(ge=0, le=1)] | None, "Decimal"),
        (HttpUrl, "HttpUrl"),
        (AwareDatetime, "AwareDatetime"),
        (list[str], "list"),
        (dict[str, str], "dict"),
        (IPv4Address, "IPv4Address"),
        (time, "time"),
        (Literal["a", "b"], "Literal"),
        (IntEnum("Number", ["ONE"]), "Number"),
        (Integer | Line, r"int \| str"),
        (Line | Text, r"str \| str"),
    ],
)
def test_a_type_that_is_not_supported_is_refused(kind: object, name: str) -> None:
    refused = rf"^\w+\.value is of type {name}, .* StrEnum, .* Float, .* app.kit.models.fields"
    for base in (Owned, CreateSchema):
        with pytest.raises(TypeError, match=refused):
            type("Unsupported", (base,), with_value(kind))


@pytest.mark.parametrize(
    ("kind", "supported"),
    [
        (bool, "StrictBool"),
        (Annotated[int, Field(ge=5, le=9)], "Integer"),
        (Annotated[float, Field(gt=5, lt=9)], "Float"),
        (date, "Date"),
        (datetime, "Time"),
        (UUID, "Id"),
    ],
)
def test_a_type_that_coerces_a_value_is_refused(kind: Any, supported: str) -> None:
    refused = rf"^\w+\.value (coerces|may be written).* use {supported} "
    for declared in (kind, kind | None, kind | MISSING, Annotated[kind | None, Field()]):
        for base in (Owned, CreateSchema, UpdateSchema):
            with pytest.raises(TypeError, match=refused):
                type("Lax", (base,), with_value(declared))


def test_a_number_with_a_fraction_keeps_to_its_declaration(make_database: MakeDatabase) -> None:
    class Angle(Owned, table=True):
        turn: Annotated[Float, Field(gt=0, le=0.1)] | None
        any: Float = 0.5

    class AngleCreate(CreateSchema):
        turn: Annotated[Float, Field(gt=0, le=0.1)] | None
        any: Float | MISSING = MISSING

    class AngleRead(ReadSchema):
        turn: float | None
        any: float

    with serve(migrated(make_database())) as server, server.client("alice") as alice:
        server.app.include_router(router_of(Angle, AngleCreate, AngleRead))
        for turn in (0.1, 5e-324, None):
            created = alice.post("/angles", json={"turn": turn, "any": 1}).json()
            assert (created["turn"], created["any"]) == (turn, 1)
        refused = ['"0.1"', "true", "1e400", "-1e400", "NaN", "[]", f"1{'0' * 400}"]
        for text in (*refused, "0", "0.11"):
            response = alice.post("/angles", content=f'{{"turn": {text}}}', headers=JSON)
            assert_problem(response, 422, "/body/turn")
        for text in refused:
            body = f'{{"turn": null, "any": {text}}}'
            response = alice.post("/angles", content=body, headers=JSON)
            assert_problem(response, 422, "/body/any")


def test_as_much_text_as_an_index_holds_can_be_filtered_by() -> None:
    class Label(Owned, table=True):
        filterable: ClassVar[tuple[str, ...]] = ("text", "task_id")

        text: Annotated[Line, StringConstraints(max_length=500)]
        task_id: Id

    parameters = document(Label)["paths"]["/labels"]["get"]["parameters"]
    assert {"text", "task_id"} <= {parameter["name"] for parameter in parameters}


def test_fields_may_have_names_that_are_used_elsewhere(make_database: MakeDatabase) -> None:
    class Price(Owned, table=True):
        filterable: ClassVar[tuple[str, ...]] = ("after_id", "where")

        after_id: Integer
        where: Integer
        bound_is_there: Word

    class PriceCreate(CreateSchema):
        after_id: Integer
        where: Integer
        bound_is_there: Word

    class PriceRead(ReadSchema):
        after_id: Integer
        where: Integer
        bound_is_there: Word

    with serve(migrated(make_database())) as server, server.client("alice") as alice:
        server.app.include_router(router_of(Price, PriceCreate, PriceRead))
        price = {"after_id": 1, "where": 2, "bound_is_there": "b"}
        made = [alice.post("/prices", json=price).json()["id"] for _ in range(3)]
        alice.post("/prices", json={**price, "where": 3})
        shown = pages(alice, "/prices", sort="created_at", limit=1, after_id=1, where=2)
        assert [item["id"] for item in shown] == made
        # The message has the pattern, and so is longer than a detail may be.
        refused = alice.post("/prices", json={**price, "bound_is_there": "x"})
        assert_problem(refused, 422, "/body/bound_is_there")


def test_a_filter_with_the_name_of_another_parameter_is_refused() -> None:
    class Ballot(Owned, table=True):
        filterable: ClassVar[tuple[str, ...]] = ("limit",)

        limit: Integer

    with pytest.raises(TypeError, match="cannot be filtered by limit"):
        document(Ballot)


def test_a_sort_order_by_a_field_that_is_not_shown_is_refused() -> None:
    class Secret(Owned, table=True):
        sortable: ClassVar[tuple[str, ...]] = ("created_at", "rank")

        rank: Integer

    with pytest.raises(TypeError, match="cannot be sorted by rank"):
        document(Secret)


def test_a_key_that_holds_beyond_one_owner_is_refused() -> None:
    with pytest.raises(TypeError, match=r"globe.name .* without owner_id"):

        class Globe(Owned, table=True):
            name: Line = Field(unique=True)

    with pytest.raises(TypeError, match=r"moon.name .* without owner_id"):

        class Moon(Owned, table=True):
            name: Line = Field(unique=True, index=True)

    with pytest.raises(TypeError, match=r"comet.task_id .* without owner_id"):

        class Comet(Owned, table=True):
            task_id: Id = Field(foreign_key="task.id")
