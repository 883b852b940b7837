"""The direct path through endpoints of one's own: they get the answer that FastAPI gives."""

import runpy
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import UTC, datetime
from functools import partial, wraps
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import anyio
import fastapi
import httpx
import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Path,
    Query,
    Request,
    Response,
    Security,
)
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import PlainTextResponse, RedirectResponse, StreamingResponse
from fastapi.routing import iter_route_contexts
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from opentelemetry.trace import ProxyTracerProvider
from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from pydantic import Json as FromJSON
from starlette.requests import HTTPConnection
from starlette.types import Message

from app.kit.api import direct
from app.kit.api.direct import direct_route
from app.kit.api.errors import HANDLERS
from app.kit.api.routes import DirectRoutes

HEADERS = {"Content-Type": "application/json", "X-Tag": "tag"}
KEY = APIKeyHeader(name="X-Key")


class Case(NamedTuple):
    """An endpoint, its path, the options of its route, and requests to it."""

    endpoint: Callable[..., Any]
    path: str
    options: dict[str, Any]
    requests: list[httpx.Request]

    def app(self, router: APIRouter, **options: Any) -> FastAPI:
        """An application with the endpoint, whose router is included with these options."""
        router.add_api_route(self.path, self.endpoint, **self.options)
        app = FastAPI(exception_handlers=HANDLERS)
        app.include_router(router, **options)
        return app

    def direct_app(self, **options: Any) -> FastAPI:
        """The same, on the direct path if it can be."""
        app = self.app(APIRouter(route_class=direct_route(somebody)), **options)
        app.add_middleware(DirectRoutes)
        return app


DIRECT: list[Case] = []
LEFT: list[Case] = []


def asked(
    *asked: Any, path: str = "", to: list[Case] = DIRECT, **options: Any
) -> Callable[[Any], Any]:
    """Ask an endpoint for each end of a URL, each body or each set of headers."""

    def add(endpoint: Any) -> Any:
        url = f"/{endpoint.__name__}"
        requests = [_request(url, one) for one in asked or [""]]
        to.append(
            Case(endpoint, url + path, {"methods": [requests[0].method], **options}, requests)
        )
        return endpoint

    return add


def _request(url: str, asked: Any) -> httpx.Request:
    url = f"http://test{url}"
    if isinstance(asked, bytes):
        return httpx.Request("POST", url, headers=HEADERS, content=asked)
    if isinstance(asked, dict):
        return httpx.Request("GET", url, headers=asked)
    return httpx.Request("GET", url + asked)


left = partial(asked, to=LEFT)


# Parameters


@asked(
    "", "?a=1", "?a=x", "?a=1&a=2&b=", "?a=1&b=x&b=y&c=", "?a=1&d=3", "?a=1&d=x", "?e-e=1&a=1&d=4"
)
async def scalars(
    *,
    a: int,
    b: str = "b",
    c: bool | None = None,
    d: Annotated[int, Query(ge=3, validate_default=True)] = 2,
    e: Annotated[int, Query(alias="e-e", default_factory=lambda: 5)],
) -> list[Any]:
    return [a, b, c, d, e]


@asked(
    "",
    "?a=1",
    "?a=1&a=2&a=3",
    "?a=1&a=x&a=y",
    "?a=1&b=&c=1&c=1&c=1",
    "?a=1&b=&b=x&c=1&c=2&d=1&d=x",
    "?a=1&d=1&d=2&e=",
    "?a=1&e=1&e=x",
    "?a=1&e=1",
)
async def lists(
    *,
    a: Annotated[list[int], Query()],
    b: Annotated[list[str] | None, Query()] = None,
    c: Annotated[set[int], Query(max_length=1)] = frozenset({7}),  # type: ignore[assignment]
    d: Annotated[list[int], Query(default_factory=list)],
    e: Annotated[tuple[int, str] | None, Query()] = None,
) -> list[Any]:
    return [a, b, sorted(c), d, e]


@asked("", "?имя=1", "?имя=x", "?%D0%B8%D0%BC%D1%8F=1")
async def cyrillic(name: Annotated[int, Query(alias="имя")] = 0) -> int:
    return name


@asked("/1/a/b", "/0/", "/1/%C3%A9%00", path="/{number:int}/{rest:path}")
async def converted(number: int, rest: str) -> list[Any]:
    return [number, rest]


@asked("/1", "/x", f"/{UUID(int=7)}", "/%F0", path="/{id}")
async def identified(id_: Annotated[UUID, Path(alias="id")]) -> UUID:
    return id_


@asked({}, {"X-One": "1", "x-two": "2"}, {"X-One": "x"}, {"X-Many": "x"}, {"X-One": ""})
async def headers(
    x_one: Annotated[int, Header()],
    x_two: Annotated[str | None, Header()] = None,
    many: Annotated[list[int] | None, Header(alias="X-Many")] = None,
) -> list[Any]:
    return [x_one, x_two, many]


class Search(BaseModel):
    """A model of the query that refuses other parameters."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(le=9)] = 5
    ids: Annotated[list[int], Field(max_length=3)] = []
    states: set[Literal["on", "off"]] | None = None
    after: Annotated[str | None, Field(alias="next")] = None
    text: Annotated[str, Field(validation_alias="q")]


class Open(BaseModel):
    """A model of the query that takes other parameters."""

    model_config = ConfigDict(extra="allow")

    a: int = 0


SEARCHES = [
    "", "?q=x", "?q=x&q=y", "?q=x&limit=1&limit=2", "?q=x&limit=10", "?q=x&ids=1",
    "?q=x&ids=1&ids=2", "?q=x&ids=1&ids=x&ids=y", "?q=x&ids=1&ids=2&ids=3&ids=4", "?q=x&states=",
    "?q=x&states=on&states=on&states=off", "?q=x&next=1&after=2", "?=&q=%FF&q=%E9",
    "?b=1&b=2&limit=x&a=1&q=x&text=",
]  # fmt: skip


@asked(*SEARCHES)
async def searched(search: Annotated[Search, Query()]) -> Search:
    return search


@asked(*SEARCHES, "?a=1&b=2&b=3", response_model=None)
async def open_search(request: Request, search: Annotated[Open, Query()], b: str = "") -> Any:
    return {"model": search.model_dump(), "b": b, "query": request.url.query}


# Dependencies


async def somebody() -> str:
    """Return the owner."""
    return "somebody"


async def count(request: HTTPConnection) -> int:
    """Tell how often it was called."""
    request.state.count = getattr(request.state, "count", 0) + 1
    return int(request.state.count)


async def doubled(number: Annotated[int, Depends(count)], response: Response) -> int:
    response.headers["X-Count"] = str(number)
    return number * 2


async def paged(page: Annotated[int, Query(le=9)], x_unit: Annotated[str, Header()] = "m") -> str:
    return f"{page}{x_unit}"


async def refuse(refuse: str = "") -> None:
    if refuse:
        raise HTTPException(403, refuse, {"X-Refused": refuse})


@asked()
async def nested(
    first: Annotated[int, Depends(count)],
    second: Annotated[int, Depends(doubled)],
    third: Annotated[int, Depends(count)],
    fourth: Annotated[int, Depends(count, scope="function")],
) -> list[int]:
    return [first, second, third, fourth]


@asked(
    "",
    "?page=1",
    "?page=10&a=x",
    "?page=x&a=1",
    "?page=1&a=1&refuse=no",
    "?refuse=no",
    "?page=1&a=1",
)
async def depends(
    a: int,
    page: Annotated[str, Depends(paged)],
    again: Annotated[str, Depends(paged)],
    _refuse: Annotated[None, Depends(refuse)],
) -> list[Any]:
    return [a, page, again]


@asked("", "?refuse=no", dependencies=[Depends(refuse), Depends(doubled)])
async def guarded() -> str:
    return "in"


@asked({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic x"})
async def bearer(token: Annotated[HTTPAuthorizationCredentials, Security(HTTPBearer())]) -> str:
    return token.credentials


@asked({}, {"X-Key": "x"})
async def keyed(key: Annotated[str, Depends(KEY)]) -> str:
    return key


class Scheme:
    """An object that is a dependency."""

    async def __call__(self, request: Request) -> str:
        return request.method

    async def method(self, a: int = 1) -> int:
        return a


@asked("", "?a=2", "?a=x")
async def objects(
    one: Annotated[str, Depends(Scheme())], two: Annotated[int, Depends(Scheme().method)]
) -> list[Any]:
    return [one, two]


# Bodies


class Item(BaseModel):
    """A body."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=5)]
    size: int | None = None


class Other(BaseModel):
    """Another one."""

    size: float = 0.5
    at: Annotated[datetime | None, Field(alias="when")] = None


BODIES = [
    b"", b"null", b"{", b"{}", b"[]", b'{"name": "x"}', b'{"name": "longer", "size": "x", "y": 1}',
    b'[{"name": "x"}, {"size": 1.5}]', b'{"name": "x", "name": "y"}', b"1", b"NaN", b"\xff", b'"x"',
]  # fmt: skip


@asked(*BODIES)
async def item(item: Item) -> Item:
    return item


@asked(*BODIES)
async def items(items: list[Item]) -> list[Item]:
    return items


@asked(*BODIES)
async def optional(item: Item | None = None) -> Item | None:
    return item


@asked(*BODIES)
async def union(item: Item | list[int] | None) -> Any:
    return item


@asked(*BODIES)
async def raw(body: Annotated[Any, Body()]) -> Any:
    return repr(body)


async def named(item: Item, x_tag: Annotated[str, Header()]) -> str:
    return item.name + x_tag


@asked(*BODIES)
async def in_dependency(name: Annotated[str, Depends(named)], a: int = 1) -> list[Any]:
    return [name, a]


@asked(b'{"name": "x"}', b'{"name": "longer"}', max_body_size=14)
async def limited(item: Item) -> Item:
    return item


@asked(*BODIES)
async def twice(item: Item, request: Request, number: Annotated[int, Depends(count)]) -> Any:
    return [item, await request.json(), number, (await request.body()).decode()]


# Responses


@asked()
async def either() -> Item | Other | None:
    return Other(size=1)


@asked("", "?is_there=1")
async def maybe(*, is_there: bool = False) -> Item | None:
    return Item(name="x") if is_there else None


@asked(response_model_exclude_none=True, response_model_by_alias=False)
async def without_nulls() -> list[Other]:
    return [Other(), Other.model_validate({"when": datetime(2026, 1, 1, tzinfo=UTC)})]


@asked(response_model=Item, response_model_exclude={"size"})
async def filtered() -> dict[str, Any]:
    return {"name": "x", "size": 1}


@asked(response_model=Item)
async def invalid() -> dict[str, Any]:
    return {"name": 1}


@asked(response_model=None)
async def anything() -> dict[str, Any]:
    return {"at": datetime(2026, 1, 1, tzinfo=UTC), "id": UUID(int=1), "item": Item(name="x")}


@asked(status_code=204)
async def nothing() -> None: ...


@asked(status_code=204, response_class=Response)
async def nothing_at_all() -> None: ...


@asked("", "?status=201", "?status=204", "?status=304", status_code=202)
async def told(response: Response, status: int = 0) -> Item:
    response.headers.append("X-A", "1")
    response.headers.append("X-A", "2")
    response.headers["Content-Type"] = "text/x-odd"
    response.set_cookie("a", "b")
    if status:
        response.status_code = status
    return Item(name="x")


@asked()
async def said(response: Response) -> Response:
    response.headers["X-A"] = "1"
    response.status_code = 201
    return response


@asked()
async def returned(response: Response) -> Response:
    response.headers["X-A"] = "1"
    return PlainTextResponse("x", 203, {"X-B": "2"})


@asked(response_class=PlainTextResponse)
async def plain() -> str:
    return "é"


@asked(response_class=RedirectResponse)
async def redirected() -> str:
    return "/é"


@asked()
async def fails() -> None:
    raise ZeroDivisionError


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """Do as decorators do."""

    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        return [await function(*args, **kwargs)]

    return call


@asked("", "?a=1", "?a=x")
@wrapped
async def decorated(a: int) -> Any:
    return a


# What is left to FastAPI


def synchronous(a: int) -> int:
    return a


def yielded(response: Response) -> Iterator[int]:
    yield 1
    response.headers["X-Late"] = "1"


async def yielded_too() -> AsyncIterator[int]:
    yield 1


async def background(tasks: BackgroundTasks) -> None:
    tasks.add_task(print, end="")


async def scoped(scopes: SecurityScopes) -> list[str]:
    return scopes.scopes


class Pair:
    """A class that is a dependency."""

    def __init__(self, a: int, b: int = 2) -> None:
        self.sum = a + b


class Aliased(BaseModel):
    """A model of the query with several names for a field."""

    a: Annotated[int, Field(validation_alias=AliasChoices("a", "b"))]


class Named(BaseModel):
    """A model of the query that takes the name of a field for its alias."""

    model_config = ConfigDict(populate_by_name=True)

    a: Annotated[int, Field(alias="b")]


class Tagged(BaseModel):
    """A model of headers."""

    x_tag: str
    x_tags: list[str] = []


@left("", "?a=1", "?a=x")
def function(a: int) -> int:
    return a


@left("", "?a=1")
async def of_function(a: Annotated[int, Depends(synchronous)]) -> int:
    return a


@left()
async def of_generators(
    a: Annotated[int, Depends(yielded)], b: Annotated[int, Depends(yielded_too)]
) -> int:
    return a + b


@left("", "?a=1")
async def of_class(pair: Annotated[Pair, Depends(Pair)]) -> int:
    return pair.sum


@left("", "?page=1")
async def of_partial(a: Annotated[str, Depends(partial(paged, x_unit="k"))]) -> str:
    return a


@left()
async def of_each(
    a: Annotated[int, Depends(count, use_cache=False)], b: Annotated[int, Depends(count)]
) -> list[int]:
    return [a, b]


@left()
async def in_background(_tasks: Annotated[None, Depends(background)]) -> str:
    return "later"


@left()
async def in_scope(scopes: Annotated[list[str], Security(scoped, scopes=["a"])]) -> list[str]:
    return scopes


@left({}, {"Cookie": "a=1"}, {"Cookie": "a=x"})
async def cookie(a: Annotated[int, Cookie()]) -> int:
    return a


@left("?a=1", "?b=1", "?b=1&a=2")
async def aliased(query: Annotated[Aliased, Query()]) -> int:
    return query.a


@left("?a=1", "?b=1", "?b=1&a=2")
async def populated(query: Annotated[Named, Query()]) -> int:
    return query.a


@left("?a=1", "?b=1", "?b=1&a=2", "")
async def chosen(a: Annotated[int, Query(validation_alias=AliasChoices("b", "a"))] = 0) -> int:
    return a


@left("?limit=1", "?q=x", "")
async def maybe_searched(search: Annotated[Search | None, Query()] = None) -> Any:
    return search


@left({}, {"X-Tag": "x", "X-Tags": "y"})
async def tagged(tags: Annotated[Tagged, Header()]) -> Tagged:
    return tags


@left("?a=[1]", "?a=1", "?a=[1]&a=[2]")
async def parsed(a: Annotated[FromJSON[list[int]], Query()]) -> list[int]:
    return a


@left(*BODIES, b'{"one": {"name": "x"}, "two": 2}', b'{"one": {}, "two": "x"}')
async def several(one: Item, two: Annotated[int, Body()]) -> list[Any]:
    return [one, two]


@left(*BODIES, b'{"item": {"name": "x"}}')
async def embedded(item: Annotated[Item, Body(embed=True)]) -> Item:
    return item


@left(*BODIES, b'{"item": {"name": "x"}}')
async def partly(item: Item, a: Annotated[str, Depends(named)]) -> list[Any]:
    return [item, a]


@left(response_class=StreamingResponse)
async def streamed() -> AsyncIterator[str]:
    yield "a"
    yield "b"


@left()
async def lines() -> AsyncIterator[Item]:
    yield Item(name="x")


def answers(app: FastAPI, requests: list[httpx.Request]) -> list[tuple[Any, ...]]:
    """Send requests, and return the status, the headers and the body of each answer."""

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport) as client:
            return [await client.send(request) for request in requests]

    return [(r.status_code, r.headers.multi_items(), r.content) for r in anyio.run(ask)]


@pytest.mark.parametrize("case", DIRECT, ids=lambda case: case.endpoint.__name__)
def test_the_direct_path_leads_to_the_same_answer(solved: list[str | None], case: Case) -> None:
    answer = answers(case.direct_app(), case.requests)
    by_router = answers(case.app(APIRouter(route_class=direct_route(somebody))), case.requests)

    assert solved == []
    assert answer == by_router == answers(case.app(APIRouter()), case.requests)


@pytest.mark.parametrize("case", LEFT, ids=lambda case: case.endpoint.__name__)
def test_what_is_not_known_is_left_to_fastapi(solved: list[str | None], case: Case) -> None:
    answer = answers(case.direct_app(), case.requests)

    assert solved != []
    assert answer == answers(case.app(APIRouter()), case.requests)


def case_of(endpoint: Callable[..., Any]) -> Case:
    """The case of an endpoint."""
    return next(case for case in DIRECT + LEFT if case.endpoint is endpoint)


def statuses(app: FastAPI, *requests: httpx.Request) -> list[int]:
    """The status of each answer."""
    return [answer[0] for answer in answers(app, list(requests))]


@pytest.mark.parametrize(("added", "is_direct"), [(refuse, True), (yielded, False)])
def test_dependencies_that_an_application_adds_are_called(
    solved: list[str | None], added: Callable[..., Any], *, is_direct: bool
) -> None:
    app = case_of(keyed).direct_app(prefix="/added", dependencies=[Depends(added), Depends(KEY)])
    url = "http://test/added/keyed?refuse=no"

    found = statuses(app, httpx.Request("GET", url, headers={"X-Key": "x"}))

    assert found == [403 if is_direct else 200]
    assert (solved == []) == is_direct


@pytest.mark.parametrize("endpoint", [item, several])
def test_a_401_comes_before_a_body_that_is_bad(endpoint: Callable[..., Any]) -> None:
    """Whoever answers, and whatever an application's tests override the owner with."""
    case = case_of(endpoint)
    router = APIRouter(route_class=direct_route(bearer), dependencies=[Depends(bearer)])
    app = case.app(router)
    bad = [request for request in case.requests if request.content in {b"{", b"{}", b"\xff"}]

    assert statuses(app, *bad) == [401, 401, 401]
    app.dependency_overrides[bearer] = somebody
    assert statuses(app, *bad) == [400, 422, 400]


def test_a_router_may_do_without_a_content_type(solved: list[str | None]) -> None:
    router = APIRouter(route_class=direct_route(somebody), strict_content_type=False)
    request = httpx.Request("POST", "http://test/item", content=b'{"name": "x"}')

    assert statuses(case_of(item).app(router), request) == [200]
    assert solved != []


async def with_body(request: Request, error: Exception) -> Response:
    """Answer an error with the body of the request."""
    return PlainTextResponse(f"{type(error).__name__} {(await request.body()).decode()}", 418)


def in_a_thread(_request: Request, error: Exception) -> Response:
    """Answer an error without waiting for anything."""
    return PlainTextResponse(f"{type(error).__name__}", 418)


async def refusing(_request: Request, error: Exception) -> Response:
    """Answer an error with another one, for which there is a handler too."""
    raise HTTPException(409, type(error).__name__)


class Handler:
    """An object that handles errors."""

    async def __call__(self, _request: Request, error: Exception) -> Response:
        return PlainTextResponse(type(error).__name__, 418)


@pytest.mark.parametrize("handler", [with_body, in_a_thread, refusing, Handler()])
@pytest.mark.parametrize("kind", [RequestValidationError, HTTPException, 400, 403, Exception, 500])
def test_errors_go_to_the_handlers_of_the_application(
    solved: list[str | None], kind: type[Exception] | int, handler: Callable[..., Any]
) -> None:
    for endpoint in (item, depends, fails):
        case = case_of(endpoint)
        apps = case.direct_app(), case.app(APIRouter())
        for app in apps:
            app.add_exception_handler(kind, handler)
        direct = answers(apps[0], case.requests)
        assert solved == []
        assert direct == answers(apps[1], case.requests)
        solved.clear()


def test_an_error_that_is_raised_again_and_again_does_not_grow() -> None:
    error = HTTPException(404)

    async def missing() -> None:
        raise error

    app = Case(missing, "/missing", {}, []).direct_app()
    assert statuses(app, *[httpx.Request("GET", "http://test/missing")] * 3) == [404] * 3
    assert error.__traceback__ is None


class Guarded(direct_route(somebody)):  # type: ignore[misc]
    """Routes that refuse, in FastAPI's own way of saying so."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Refuse what would be answered."""
        handle = super().get_route_handler()

        @wraps(handle)
        async def refuse(request: Request) -> Response:
            await handle(request)
            raise HTTPException(403)

        return refuse


def test_what_a_route_class_adds_to_a_handler_is_not_left_out() -> None:
    app = case_of(nested).app(APIRouter(route_class=Guarded))
    app.add_middleware(DirectRoutes)

    assert statuses(app, *case_of(nested).requests) == [403]


def test_what_is_put_around_a_route_is_not_left_out() -> None:
    app = case_of(nested).direct_app()
    (route,) = [r for r in iter_route_contexts(app.routes) if r.path == "/nested"]
    context = route._effective_route  # noqa: SLF001 - as instrumentation would find it
    context.app = PlainTextResponse("around", 418)  # type: ignore[union-attr]

    assert statuses(app, *case_of(nested).requests) == [418]


def test_no_middleware_may_stand_between_direct_routes_and_fastapi() -> None:
    app = case_of(nested).app(APIRouter(route_class=direct_route(somebody)))
    app.add_middleware(GZipMiddleware)
    app.add_middleware(DirectRoutes)

    with pytest.raises(TypeError, match="GZipMiddleware would be left out"):
        app.build_middleware_stack()


def test_a_request_that_is_traced_is_left_to_fastapi(solved: list[str | None]) -> None:
    app = FastAPI(telemetry={"tracer_provider": ProxyTracerProvider()})
    app.include_router(case_of(nested).direct_app().router)

    assert statuses(app, *case_of(nested).requests) == [200]
    assert solved != []


def test_a_result_that_is_not_valid_is_an_error_that_names_the_route() -> None:
    async def ask() -> None:
        transport = httpx.ASGITransport(case_of(invalid).direct_app(prefix="/api"))
        async with httpx.AsyncClient(transport=transport) as client:
            await client.get("http://test/api/invalid")

    with pytest.raises(ResponseValidationError, match="/api/invalid"):
        anyio.run(ask)


def test_a_client_that_leaves_in_mid_body_has_sent_no_body() -> None:
    received: list[Message] = [
        {"type": "http.request", "body": b'{"name": "x"}', "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []
    app = case_of(item).direct_app()
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/item",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }

    async def receive() -> Message:
        return received.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    anyio.run(app, scope, receive, send)

    assert sent[0]["status"] == 400


@pytest.mark.parametrize("change", ["an option", "a name"])
def test_a_fastapi_that_has_changed_is_named_at_the_start(
    monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    def handler(*, dependant: object, novelty: object) -> None: ...

    if change == "an option":
        monkeypatch.setattr("fastapi.routing.get_request_handler", handler)
    else:
        monkeypatch.delattr("fastapi.routing._effective_route_context_var")

    with pytest.raises(ImportError, match=f"has to follow FastAPI {fastapi.__version__}"):
        runpy.run_path(direct.__file__)
