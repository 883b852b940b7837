"""What a model may declare, and what is refused because no column or client could hold to it."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum
from ipaddress import IPv4Address
from math import inf
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from pydantic import (
    MISSING,
    AnyUrl,
    AwareDatetime,
    EmailStr,
    FtpUrl,
    HttpUrl,
    StrictBool,
    StringConstraints,
    ValidationError,
)
from pydantic import Field as PydanticField
from sqlalchemy import String, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.api.identity import current_owner
from app.kit.api.router import OwnedRouter, owned_crud_router
from app.kit.models import (
    BigInteger,
    CreateSchema,
    Date,
    Float,
    Id,
    Integer,
    Line,
    Owned,
    ReadSchema,
    References,
    Text,
    Time,
    UpdateSchema,
)
from app.kit.models.addresses import ANY_URL, EMAIL, HTTP_URL
from app.kit.models.durations import DURATION, POSITIVE_DURATION
from app.kit.models.fields import LINE, NO_NUL
from app.kit.models.schemas import schemas_of
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
    create_schema: type[CreateSchema] | None = None,
    update_schema: type[UpdateSchema] | None = None,
    read_schema: type[ReadSchema] | None = None,
) -> OwnedRouter:
    """The router of a model, at its name and an s."""
    return owned_crud_router(
        model,
        owner=current_owner,
        path=f"/{model.__name__.lower()}s",
        create_schema=create_schema,
        update_schema=update_schema,
        read_schema=read_schema,
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
        sortable: ClassVar[tuple[str | tuple[str, ...], ...]] = (
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
        server.app.include_router(router_of(Event))
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


@pytest.mark.parametrize("use", ["sortable", "sortable_unindexed", "searchable"])
def test_a_kind_of_field_that_cannot_be_sorted_filtered_or_searched_by_is_refused(use: str) -> None:
    class Wrong(SQLModel):
        other: UUID
        ratio: float

    field = "ratio" if use == "searchable" else "other"
    namespace = {use: (field,), "__module__": __name__}
    with pytest.raises(TypeError, match=rf"^Wrong\w+\.{use}: {field} is "):
        type(f"Wrong{use.title()}", (Wrong, Owned), namespace, table=True)


@pytest.mark.parametrize("use", ["sortable", "filterable", "searchable", "unique", "not_in_read"])
@pytest.mark.parametrize("named", ["statsu", ("name", "statsu")])
def test_a_typo_names_the_class_and_the_field(use: str, named: Any) -> None:
    namespace = {
        "__annotations__": {"name": Annotated[str, Field(max_length=9)]},
        "__module__": __name__,
        use: (named,) if use == "unique" or isinstance(named, str) else named,
    }
    why = rf'^Typo\.{use}: "statsu" is no field: use one of owner_id, .*, name$'
    with pytest.raises(TypeError, match=why):
        type("Typo", (Owned,), namespace, table=True)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Annotated[int, Field(le=2**53)], "a bound is beyond 53 bits"),
        (Annotated[BigInteger, Field(ge=-(2**53) - 1)], "a bound is beyond 53 bits"),
        (str, r"text needs a bound: write Field\(max_length=200\)"),
        (Line | None, "text needs a bound"),
        (Annotated[Line, PydanticField(pattern="^a", max_length=9)], "text has two patterns"),
        (
            Annotated[date, PydanticField(ge=date(2026, 1, 1))],
            "a date has no bounds in JSON Schema",
        ),
        (Annotated[bool, PydanticField(alias="other")], r"Field\(alias=…\) does nothing here"),
    ],
)
def test_a_field_that_no_column_or_client_can_hold_to_is_refused(kind: object, why: str) -> None:
    with pytest.raises(TypeError, match=rf"^Boundless\w+\.value: {why}"):
        type(f"Boundless{uuid4().hex}", (Owned,), with_value(kind), table=True)


@pytest.mark.parametrize("use", ["filterable", "unique"])
def test_text_that_no_index_can_hold_is_refused(use: str) -> None:
    namespace = {**with_value(Annotated[Line, Field(max_length=501)]), use: ("value",)}
    with pytest.raises(TypeError, match=r"^Long\w+: value: an index holds 500 characters"):
        type(f"Long{uuid4().hex}", (Owned,), namespace, table=True)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (FtpUrl, "FtpUrl"),
        (AwareDatetime, "AwareDatetime"),
        (list, "list"),
        (set[int], "set"),
        (dict[str, str], r"dict\[str, str\]"),
        (dict, "dict"),
        (IPv4Address, "IPv4Address"),
        (Literal[1, 2], "Literal"),
        (IntEnum("Number", ["ONE"]), "Number"),
    ],
)
def test_a_type_that_is_not_supported_is_refused(kind: object, name: str) -> None:
    refused = (
        rf"^Unsupported\.value: {name} is not supported: declare one of bool, int, float, str, "
    )
    for base in (Owned, CreateSchema):
        with pytest.raises(TypeError, match=refused):
            type("Unsupported", (base,), with_value(kind))


DIGITS: dict[str, Any] = {"max_digits": 4, "decimal_places": 2}


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Decimal, r"a Decimal needs both: write Field\(max_digits=12, decimal_places=2\), say"),
        (Annotated[Decimal, Field(max_digits=4)] | None, "a Decimal needs both: "),
        (Annotated[Decimal, Field(decimal_places=4)], "a Decimal needs both: "),
        (Annotated[Decimal, Field(max_digits=2, decimal_places=3)], "max_digits is 1 to 100, and"),
        (Annotated[Decimal, Field(max_digits=101, decimal_places=3)], "max_digits is 1 to 100"),
        (Annotated[Decimal, Field(max_digits=0, decimal_places=0)], "max_digits is 1 to 100"),
        (Annotated[Decimal, Field(ge=1, **DIGITS)], "a Decimal has no bounds .* but ge=0 and gt=0"),
        (Annotated[Decimal, Field(le=0, **DIGITS)], "a Decimal has no bounds .* but ge=0 and gt=0"),
        (Annotated[Decimal, Field(multiple_of=2, **DIGITS)], "a Decimal has no bounds .* but ge=0"),
        (Annotated[time, PydanticField(ge=time(8))], "a time has no bounds in JSON Schema: leave"),
        (
            Annotated[timedelta, PydanticField(gt=timedelta())],
            r"a timedelta has no bounds in JSON Schema but ge=timedelta\(0\): leave",
        ),
        (list[int], r"a list needs a bound: write Field\(max_length=20\), say"),
        (Annotated[list[str], Field(max_length=9)], r"its items: text needs a bound: write Field"),
        (Annotated[list[IPv4Address], Field(max_length=9)], "its items: IPv4Address is not supp"),
        (Annotated[list[Decimal], Field(max_length=9)], "its items: a Decimal needs both"),
        (Annotated[list[int | None], Field(max_length=9)], "an item of a list is never null"),
        (Annotated[list[Annotated[UUID, References("task")]], Field(max_length=9)], "an item of"),
        (
            Annotated[list[Annotated[list[int], Field(max_length=2)]], Field(max_length=9)],
            r"a list has no lists or objects: declare dict\[str, Any\]",
        ),
        (Annotated[list[dict[str, Any]], Field(max_length=9)], "a list has no lists or objects"),
        (
            Annotated[EmailStr, PydanticField(pattern="^a")],
            "an EmailStr has a pattern of its own: leave",
        ),
        (
            Annotated[HttpUrl, PydanticField(pattern="^a")],
            "an HttpUrl has a pattern of its own: leave",
        ),
    ],
)
def test_a_type_that_lacks_what_its_column_needs_is_refused(kind: object, why: str) -> None:
    for base in (Owned, CreateSchema):
        with pytest.raises(TypeError, match=rf"^Lacking\.value: {why}"):
            type("Lacking", (base,), with_value(kind))


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        (Annotated[Decimal, Field(**DIGITS)], 1.5),
        (Annotated[Decimal, Field(**DIGITS)], Decimal("1.005")),
        (Annotated[Decimal, Field(gt=0, **DIGITS)], Decimal(0)),
        (time, time(8, tzinfo=UTC)),
        (timedelta, timedelta(days=10**8)),
        (Annotated[timedelta, PydanticField(ge=timedelta())], -timedelta.resolution),
        (Annotated[list[int], Field(max_length=1)], [1, 2]),
        (Annotated[list[int], Field(max_length=1)], ["1"]),
        (dict[str, Any], {"a": "\0"}),
        (dict[str, Any], {"a": UUID(int=0)}),
        (EmailStr, "a"),
        (HttpUrl, AnyUrl("ftp://a")),
        (datetime, datetime(2026, 1, 1)),  # noqa: DTZ001 - of no time zone
    ],
    ids=str,
)
def test_a_default_that_no_client_could_send_is_refused(kind: Any, default: object) -> None:
    namespace = {**with_value(kind), "value": Field(default=default)}
    with pytest.raises(TypeError, match=r"^Unfit\.value: its default does not fit: "):
        type("Unfit", (Owned,), namespace, table=True)


@pytest.mark.parametrize("kind", [list[int], dict[str, Any]])
def test_a_list_or_an_object_that_should_be_unique_is_refused(kind: Any) -> None:
    bounded = Annotated[kind, Field(max_length=9)]
    namespace = {**with_value(bounded), "unique": ("value",)}
    with pytest.raises(TypeError, match=r"^Single\w+: value: a list or an object cannot be unique"):
        type(f"Single{uuid4().hex}", (Owned,), namespace, table=True)


@pytest.mark.parametrize(
    "kind", [int | str, Annotated[Integer | Line, Field()] | None, Line | Text]
)
def test_a_choice_of_types_is_refused(kind: object) -> None:
    for base in (Owned, CreateSchema):
        with pytest.raises(TypeError, match=r"^Mixed\.value: \w+ \| str is more than one type: "):
            type("Mixed", (base,), with_value(kind))


BOUNDED = {"ge": 5, "le": 9}
NARROWED = {"minimum": 5, "maximum": 9}


@pytest.mark.parametrize("field", [Field, PydanticField], ids=["SQLModel", "Pydantic"])
@pytest.mark.parametrize(
    ("kind", "arguments", "schema"),
    [
        (int, {}, {"minimum": -(2**31), "maximum": 2**31 - 1, "format": "int32"}),
        (int, BOUNDED, {**NARROWED, "format": "int32"}),
        (Integer, BOUNDED, {**NARROWED, "format": "int32"}),
        (int, {"le": 2**31}, {"minimum": 1 - 2**53, "maximum": 2**31, "format": "int64"}),
        (BigInteger, BOUNDED, {**NARROWED, "format": "int64"}),
        (float, {}, {"minimum": -1e308, "maximum": 1e308, "format": "double"}),
        (float, {"le": inf, **BOUNDED}, {**NARROWED, "format": "double"}),
        (Float, {"ge": 0, "le": inf}, {"minimum": 0, "maximum": 1e308, "format": "double"}),
        (str, {"max_length": 9}, {"maxLength": 9, "pattern": NO_NUL}),
        (Text, {"max_length": 9}, {"maxLength": 9, "pattern": NO_NUL}),
        (Line, {"max_length": 9}, {"maxLength": 9, "minLength": 1, "pattern": LINE}),
        (Annotated[Line, Field(max_length=5)], {"max_length": 9}, {"maxLength": 5}),
        (date, {}, {"format": "date", "maxLength": 10}),
        (datetime, {}, {"format": "date-time", "maxLength": 27}),
        (UUID, {}, {"format": "uuid", "maxLength": 36}),
        (Literal["a", "b"], {}, {"enum": ["a", "b"]}),
        (Decimal, DIGITS, {"pattern": r"^-?(0|[1-9][0-9]{0,1})(\.[0-9]{1,2})?$", "maxLength": 7}),
        (Decimal, {**DIGITS, "ge": 0}, {"pattern": r"^(0|[1-9][0-9]{0,1})(\.[0-9]{1,2})?$"}),
        (
            Decimal,
            {"max_digits": 2, "decimal_places": 0, "gt": 0},
            {"pattern": "^([1-9][0-9]{0,1})$"},
        ),
        (time, {}, {"format": "time-local", "maxLength": 15}),
        (timedelta, {}, {"pattern": DURATION, "maxLength": 28}),
        (timedelta, {"ge": timedelta()}, {"pattern": POSITIVE_DURATION}),
        (EmailStr, {}, {"format": "email", "pattern": EMAIL, "maxLength": 254}),
        (EmailStr, {"max_length": 9}, {"format": "email", "pattern": EMAIL, "maxLength": 9}),
        (HttpUrl, {"max_length": 9}, {"format": "uri", "pattern": HTTP_URL, "maxLength": 9}),
        (AnyUrl, {}, {"format": "uri", "pattern": ANY_URL, "maxLength": 2083}),
        (list[int], {"max_length": 9}, {"maxItems": 9, "type": "array"}),
    ],
    ids=str,
)
def test_a_plain_type_is_bounded_by_either_field(
    field: Any, kind: Any, arguments: dict[str, Any], schema: dict[str, Any]
) -> None:
    for declared in (kind, kind | None):
        namespace = {**with_value(declared), "value": field(description="It.", **arguments)}
        model = type(f"Plain{uuid4().hex[:8]}", (Owned,), namespace, table=True)
        properties = schemas_of(model).create.model_json_schema()["properties"]
        shown = properties["value"].get("anyOf", [properties["value"]])[0]
        assert {keyword: shown[keyword] for keyword in schema} == schema
        assert shown["description"] == "It."
        is_nullable = model.__table__.c.value.nullable  # type: ignore[attr-defined]
        assert is_nullable == (declared is not kind)


@pytest.mark.parametrize(
    ("kind", "refused"),
    [
        (bool, ["true", 1, "yes", None]),
        (int, ["1", 1.5, True, 2**31, None]),
        (float, ["0.1", True]),
        (date, ["20260101", 0, "2026-01-01T00:00:00"]),
        (datetime, ["2026-01-01T00:00:00", 5, "2026-01-01 00:00:00Z"]),
        (UUID, ["019daf0900007000800000000000000", 1]),
        (Literal["a", "b"], ["c", 0, None]),
        (Annotated[str, Field(max_length=2)], ["a\0", "abc", 1]),
        (Annotated[str, PydanticField(max_length=2, pattern="^.")], ["a\0", "abc", 1]),
        (Annotated[Decimal, Field(**DIGITS)], [1, 1.5, "1.005", "100", "1e1", "NaN", None]),
        (time, ["08:00", "08:00:00Z", 5, "24:00:00"]),
        (timedelta, ["1", 1, "P1Y", "PT24"]),
        (EmailStr, ["a", "A <a@b.co>", "a@b.co\0"]),
        (HttpUrl, ["a", "ftp://a", "http://a b"]),
        (Annotated[list[int], Field(max_length=2)], [[1, 2, 3], ["1"], [None], {}, "1", [1.5]]),
        (dict[str, Any], [[], "{}", {"\0": 1}, {"a": 2**53 + 1}]),
    ],
    ids=str,
)
def test_a_plain_type_is_strict_in_every_schema(kind: Any, refused: list[object]) -> None:
    for declared in (kind, Annotated[kind, Field()], kind | MISSING):
        by_hand: Any = type("ByHand", (CreateSchema,), with_value(declared))
        for value in refused:
            with pytest.raises(ValidationError):
                by_hand.model_validate({"value": value})


@pytest.mark.parametrize(
    ("argument", "value", "instead"),
    [
        ("primary_key", True, "Owned has the key"),
        ("foreign_key", "task.id", r"Annotated\[UUID, References"),
        ("unique", True, "`unique`"),
        ("index", True, "`filterable` or `sortable`"),
        ("nullable", True, r"`\| None`"),
        ("regex", "^a", "write pattern="),
        ("sa_type", String, "leave it out"),
        ("alias", "other", "rename the field"),
        ("exclude", True, "`not_in_read`"),
    ],
)
def test_an_argument_of_a_field_that_would_not_be_read_is_refused(
    argument: str, value: object, instead: str
) -> None:
    field = Field(max_length=9, **{argument: value})  # type: ignore[call-overload]
    for namespace in (
        {**with_value(str), "value": field},
        with_value(Annotated[str, field]),
        {**with_value(Annotated[str, field] | None), "value": None},
    ):
        with pytest.raises(TypeError, match=rf"^Unread\.value: Field\({argument}=…\) .*{instead}"):
            type("Unread", (Owned,), namespace, table=True)


@pytest.mark.parametrize(
    "name", ["metadata", "id", "owner_id", "updated_at", "model_fields", "owned_fields", "json"]
)
def test_a_field_with_the_name_of_the_machinery_is_refused(name: str) -> None:
    namespace = {"__annotations__": {name: bool}, "__module__": __name__}
    with pytest.raises(TypeError, match=rf"^Taken\.{name}: Owned has this name: rename the field$"):
        type("Taken", (Owned,), namespace, table=True)


def test_a_name_that_postgresql_would_cut_is_refused() -> None:
    name = "a" * 50
    namespace = {"__annotations__": {name: BigInteger}, "__module__": __name__}
    with pytest.raises(TypeError, match=r"^Lengthy: the name ck_lengthy_a+_m.*imum.* has \d+ char"):
        type("Lengthy", (Owned,), namespace, table=True)
    indexed = {"__annotations__": {name: bool}, "__module__": __name__, "unique": (name,)}
    with pytest.raises(TypeError, match=r"^Indexed: the name uq_indexed_owner_id_a+ has \d+ char"):
        type("Indexed", (Owned,), indexed, table=True)


def test_a_reference_that_would_change_rows_unseen_is_refused() -> None:
    with pytest.raises(TypeError, match=r'ondelete="SET NULL".* Write ondelete="CASCADE"'):
        References("task", ondelete="SET NULL")  # type: ignore[arg-type]


def test_a_default_that_does_not_fit_is_refused() -> None:
    namespace = {**with_value(int), "value": Field(default=10, le=9)}
    with pytest.raises(TypeError, match=r"^Unfit\.value: its default does not fit: "):
        type("Unfit", (Owned,), namespace, table=True)


class Note(Owned):
    """Something to remember."""

    text: str = Field(max_length=9)
    colour: str | None = Field(default=None, max_length=9)


def test_an_update_schema_whose_default_would_be_written_is_refused() -> None:
    for default in (None, "red"):
        namespace = {
            "__annotations__": {"colour": Annotated[str, Field(max_length=9)] | None},
            "__module__": __name__,
            "colour": default,
        }
        with pytest.raises(TypeError, match=r"^NoteUpdate\.colour: .* `Type \| MISSING = MISSING`"):
            type("NoteUpdate", (UpdateSchema,), namespace)
    with pytest.raises(TypeError, match=r"^NoteUpdate\.colour: "):
        type("NoteUpdate", (UpdateSchema,), {**namespace, "colour": Field()})


@pytest.mark.parametrize("use", ["create", "update", "read"])
def test_a_schema_with_a_field_that_the_table_lacks_is_refused(use: str) -> None:
    base = {"create": CreateSchema, "update": UpdateSchema, "read": ReadSchema}[use]
    missing = {} if use == "read" else {"color": MISSING}
    kind = Annotated[str, Field(max_length=9)] | (None if use == "read" else MISSING)
    namespace = {"__annotations__": {"color": kind}, "__module__": __name__, **missing}
    schema = type("NoteSchema", (base,), namespace)
    with pytest.raises(TypeError, match=r"^NoteSchema\.color: Note has no such field"):
        owned_crud_router(Note, owner=current_owner, path="/notes", **{f"{use}_schema": schema})


def test_a_create_schema_without_a_field_that_is_required_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^CreateSchema\.text: a Note needs it"):
        owned_crud_router(Note, owner=current_owner, path="/notes", create_schema=CreateSchema)
    with pytest.raises(TypeError, match=r"^Hidden\.not_in_create: text is required"):
        type("Hidden", (Note,), {"not_in_create": ("text",), "__module__": __name__})


def test_a_schema_by_hand_replaces_a_derived_one(make_database: MakeDatabase) -> None:
    class Memo(Owned, table=True):
        text: str = Field(max_length=9)
        colour: str | None = Field(default=None, max_length=9)

    class MemoCreate(CreateSchema):
        text: Annotated[str, Field(max_length=5)]

    class MemoUpdate(UpdateSchema):
        colour: Annotated[str, Field(max_length=5)] | MISSING | None = MISSING

    class MemoRead(ReadSchema):
        text: str = Field(max_length=9)

    with serve(migrated(make_database())) as server, server.client("alice") as alice:
        server.app.include_router(router_of(Memo, MemoCreate, MemoUpdate, MemoRead))
        assert_problem(alice.post("/memos", json={"text": "abcdef"}), 422, "/body/text")
        assert_problem(alice.post("/memos", json={"text": "a", "colour": "x"}), 422, "/body/colour")
        memo = alice.post("/memos", json={"text": "abc"}).json()
        assert memo.keys() == {"id", "created_at", "updated_at", "etag", "text"}
        assert alice.patch(f"/memos/{memo['id']}", json={"colour": "red"}).status_code == 200
        assert_problem(alice.patch(f"/memos/{memo['id']}", json={"text": "a"}), 422, "/body/text")


ShortLine = Annotated[Line, Field(max_length=9)]


def test_schemas_by_hand_have_the_types_of_real_data(make_database: MakeDatabase) -> None:
    class Bill(Owned, table=True):
        amount: Decimal = Field(max_digits=9, decimal_places=8)
        due: timedelta
        payer: EmailStr | None = None
        lines: list[ShortLine] | None = Field(None, max_length=9)
        secret: dict[str, Any] = Field(default_factory=dict)

    class BillCreate(CreateSchema):
        amount: Decimal = Field(max_digits=9, decimal_places=8, gt=0)
        due: timedelta
        secret: dict[str, Any] | MISSING = MISSING

    class BillUpdate(UpdateSchema):
        payer: EmailStr | MISSING | None = MISSING
        lines: Annotated[list[ShortLine], Field(max_length=2)] | MISSING | None = MISSING

    class BillRead(ReadSchema):
        amount: Decimal = Field(max_digits=9, decimal_places=8)
        due: timedelta
        payer: EmailStr | None
        lines: list[ShortLine] | None = Field(max_length=9)

    with serve(migrated(make_database())) as server, server.client("alice") as alice:
        server.app.include_router(router_of(Bill, BillCreate, BillUpdate, BillRead))
        new = {"amount": "0.00000001", "due": "P400D", "secret": {"a": 1}}
        bill = alice.post("/bills", json=new).json()
        assert bill == {**bill, "amount": "0.00000001", "due": "P400D", "payer": None}
        assert "secret" not in bill
        item = f"/bills/{bill['id']}"
        changed = alice.patch(item, json={"payer": "a@b.co", "lines": ["a"]}).json()
        assert changed == {**changed, "payer": "a@b.co", "lines": ["a"]}
        assert alice.patch(item, json={"payer": None}).json()["payer"] is None
        assert_problem(alice.post("/bills", json={**new, "amount": "0"}), 422, "/body/amount")
        assert_problem(alice.patch(item, json={"lines": ["a", "b", "c"]}), 422, "/body/lines")
        assert_problem(alice.patch(item, json={"lines": [" "]}), 422, "/body/lines/0")


def test_a_field_is_left_out_of_the_schemas_that_the_model_names(
    make_database: MakeDatabase,
) -> None:
    class Ticket(Owned, table=True):
        not_in_create = ("state",)
        not_in_update = ("subject",)
        not_in_read = ("secret",)

        subject: str = Field(max_length=9)
        state: Literal["open", "closed"] = "open"
        secret: str | None = Field(default=None, max_length=9)

    with serve(migrated(make_database())) as server, server.client("alice") as alice:
        server.app.include_router(router_of(Ticket))
        new = {"subject": "x", "secret": "y"}
        assert_problem(alice.post("/tickets", json={**new, "state": "closed"}), 422, "/body/state")
        ticket = alice.post("/tickets", json=new).json()
        assert "secret" not in ticket
        assert ticket["state"] == "open"
        item = f"/tickets/{ticket['id']}"
        assert_problem(alice.patch(item, json={"subject": "z"}), 422, "/body/subject")
        assert alice.patch(item, json={"state": "closed"}).json()["state"] == "closed"


def test_fields_can_be_unique_together(make_database: MakeDatabase) -> None:
    class Seat(Owned, table=True):
        unique = (("row", "number"),)

        row: str = Field(max_length=2)
        number: int

    with serve(migrated(make_database())) as server, server.client("alice") as alice:
        server.app.include_router(router_of(Seat))
        for seat in ({"row": "A", "number": 1}, {"row": "A", "number": 2}):
            assert alice.post("/seats", json=seat).status_code == 201
        taken = alice.post("/seats", json={"row": "A", "number": 1})
        assert_problem(taken, 409, "/body/row", "/body/number")
        assert taken.json()["detail"] == "There is an item with this row and number already."
        assert alice.post("/seats", json={"row": "B", "number": 1}).status_code == 201


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def test_an_enumeration_keeps_to_its_members(make_database: MakeDatabase) -> None:
    class Paint(Owned, table=True):
        filterable = ("colour",)

        colour: Colour = Colour.RED

    with serve(migrated(make_database())) as server, server.client("alice") as alice:
        server.app.include_router(router_of(Paint))
        assert alice.post("/paints", json={}).json()["colour"] == "red"
        assert alice.post("/paints", json={"colour": "blue"}).json()["colour"] == "blue"
        refused: list[object] = [None, "RED", "", "red ", 0, [], "green"]
        for value in refused:
            assert_problem(alice.post("/paints", json={"colour": value}), 422, "/body/colour")
        assert len(alice.get("/paints", params={"colour": "blue"}).json()["items"]) == 1
        assert_problem(alice.get("/paints", params={"colour": "RED"}), 422, "/query/colour")


def test_a_list_has_items_of_any_plain_type(make_database: MakeDatabase) -> None:
    values: dict[str, tuple[Any, list[object], object]] = {
        "flags": (bool, [True, False], 1),
        "numbers": (Annotated[int, Field(gt=-5, lt=2**40)], [-4, 2**40 - 1], -5),
        "floats": (Annotated[float, Field(ge=0)], [0, 0.1, 1e308], -0.1),
        "days": (date, ["0001-01-01", "9999-12-31"], "0000-01-01"),
        "moments": (datetime, ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"], "now"),
        "times": (time, ["00:00:00", "23:59:59.999999"], "24:00:00"),
        "lengths": (timedelta, ["-PT0.000001S", "P1D"], "P1W"),
        "payers": (EmailStr, ["a@b.co"], "a"),
        "pages": (HttpUrl, ["http://a"], "a"),
        "colours": (Colour, ["red", "blue", "red"], "green"),
    }
    annotations = {name: list[kind] for name, (kind, *_) in values.items()}  # type: ignore[valid-type]
    fields = {name: Field(max_length=3) for name in values}
    namespace = {"__annotations__": annotations, "__module__": __name__, **fields}
    rack = type("Rack", (Owned,), namespace, table=True)
    sent = {name: items for name, (_, items, _) in values.items()}

    with serve(migrated(make_database())) as server, server.client("alice") as alice:
        server.app.include_router(router_of(rack))
        created = alice.post("/racks", json=sent).json()
        assert created == {**created, **sent}
        assert alice.get("/racks").json()["items"] == [created]
        item = f"/racks/{created['id']}"
        for name, (_, items, refused) in values.items():
            bad = alice.patch(item, json={name: [items[0], refused]})
            assert_problem(bad, 422, f"/body/{name}/1")
            assert alice.patch(item, json={name: []}).json()[name] == []


def test_a_number_with_a_fraction_keeps_to_its_declaration(make_database: MakeDatabase) -> None:
    class Angle(Owned, table=True):
        turn: Annotated[Float, Field(gt=0, le=0.1)] | None
        any: Float = 0.5

    with serve(migrated(make_database())) as server, server.client("alice") as alice:
        server.app.include_router(router_of(Angle))
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
        filterable: ClassVar[tuple[str, ...]] = (
            *("after_id", "where", "domain", "from_", "id_of_created_at"),
        )

        after_id: Integer
        where: Integer
        domain: Annotated[str, Field(max_length=9)] = "x"
        from_: Date | None = None
        id_of_created_at: Integer = 3
        bound_is_there: Word

    with serve(migrated(make_database())) as server, server.client("alice") as alice:
        server.app.include_router(router_of(Price))
        price = {"after_id": 1, "where": 2, "bound_is_there": "b"}
        made = [alice.post("/prices", json=price).json()["id"] for _ in range(3)]
        alice.post("/prices", json={**price, "where": 3})
        shown = pages(alice, "/prices", sort="created_at", limit=1, after_id=1, where=2)
        assert [item["id"] for item in shown] == made
        twice = {"domain": ["x", "y"]}
        for method in ("GET", "DELETE"):
            assert_problem(alice.request(method, "/prices", params=twice), 422, "/query/domain")
        alice.post("/prices", json={**price, "from_": "2026-11-22"})
        times: dict[str, str | int] = {
            "created_at__gt": "2026-01-01T00:00:00Z",
            "id_of_created_at__gt": 2,
        }
        for query in (
            {"from___gt": "2026-01-01"},
            {"from_": "2026-11-22"},
            {"from___is_not": "null"},
        ):
            found = alice.get("/prices", params={**times, **query})
            assert [item["from_"] for item in found.json()["items"]] == ["2026-11-22"]
        # The message has the pattern, and so is longer than a detail may be.
        refused = alice.post("/prices", json={**price, "bound_is_there": "x"})
        assert_problem(refused, 422, "/body/bound_is_there")


def test_a_filter_with_the_name_of_another_parameter_is_refused() -> None:
    class Ballot(Owned, table=True):
        filterable: ClassVar[tuple[str, ...]] = ("limit",)

        limit: Integer

    with pytest.raises(TypeError, match=r"^Ballot\.filterable: limit is a parameter of all lists"):
        document(Ballot)


def test_a_sort_order_by_a_field_that_is_not_shown_is_refused() -> None:
    class Secret(Owned, table=True):
        sortable: ClassVar[tuple[str, ...]] = ("created_at", "rank")
        not_in_read = ("rank",)

        rank: Integer

    with pytest.raises(TypeError, match=r"^Secret\.sortable: rank is not in SecretRead"):
        document(Secret)


def test_a_key_that_holds_beyond_one_owner_is_refused() -> None:
    namespace = {
        **with_value(Annotated[str, Field(max_length=9)]),
        "__table_args__": (UniqueConstraint("value"),),
    }
    with pytest.raises(TypeError, match=r"^Globe: value: a constraint without owner_id"):
        type("Globe", (Owned,), namespace, table=True)
