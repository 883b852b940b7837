"""The table of routes finds what FastAPI's router finds, and leaves to it what is not in there."""

import sys
from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import Annotated, Any

import anyio
import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Form, HTTPException, Request
from fastapi.routing import APIRoute
from starlette.endpoints import HTTPEndpoint
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Match, Route
from starlette.types import Scope

from app.kit.api.direct import direct_route
from app.kit.api.routes import DirectRoutes
from app.main import create_app
from tests.support import example
from tests.support.operations import OPERATIONS
from tests.support.server import SuiteSettings
from tests.support.tasks import NEVER_WAS

pytestmark = pytest.mark.plain

Endpoint = Callable[[Request], Coroutine[Any, Any, dict[str, Any]]]


def echo(name: str) -> Endpoint:
    """A function for a route, which tells what it knows of the request."""

    async def answer(request: Request) -> dict[str, Any]:
        return {
            "name": name,
            "parameters": request.path_params,
            "route": request.scope["route"].path,
            "endpoint": request.scope["endpoint"] is answer,
            "router": request.scope["router"] is request.app.router,
            "another": request.url_for("pair", a="1", b="2").path,
        }

    return answer


class OnlyForOthers(APIRoute):
    """Routes that do not match each request with their path."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match a request to anything else but 1."""
        match, child = super().matches(scope)
        if match is Match.NONE:
            return match, child
        return (Match.NONE, {}) if child["path_params"].get("id") == "1" else (match, child)


class Everything(HTTPEndpoint):
    """A class that answers."""

    async def get(self, _request: Request) -> Response:
        """Answer GET."""
        return PlainTextResponse("everything")


async def somebody() -> str:
    """Return the owner."""
    return "somebody"


DIRECT = direct_route(somebody)


async def forbid() -> None:
    """Refuse each request."""
    raise HTTPException(403)


async def tell(request: Request) -> Response:
    """Answer with the parameters."""
    return PlainTextResponse(str(request.path_params))


def application() -> FastAPI:
    """An application with routes of all kinds, of which the first that matches answers."""
    app = FastAPI()
    app.router.route_class = DIRECT
    for method, path in [
        ("GET", "/"),
        ("GET", "/items/{id}"),
        ("GET", "/items/special"),
        ("POST", "/items/special"),
        ("GET", "/things/special"),
        ("GET", "/things/{id}"),
        ("POST", "/things/{id}"),
        ("GET", "/things/{other}"),
        ("GET", "/pairs/{a}/fixed"),
        ("GET", "/pairs/fixed/{b}"),
        ("GET", "/text/{id:str}"),
        ("GET", "/numbers/{id:int}"),
        ("GET", "/numbers/{id}"),
        ("GET", "/parts/{a}-{b}"),
        ("GET", "/parts/{id}"),
        ("GET", "/slash/"),
        ("GET", "/empty//{id}"),
    ]:
        app.add_api_route(path, echo(f"{method} {path}"), methods=[method])
    app.add_api_route("/pairs/{a}/{b}", echo("pair"), name="pair", methods=["GET", "DELETE"])
    app.add_api_route("/files/special", echo("before"))
    app.add_api_route("/files/{rest:path}", echo("rest"))
    app.add_api_route("/files/{id}", echo("after"))
    app.mount("/mounted", PlainTextResponse("mounted"))
    app.add_api_route("/mounted/{id}", echo("after the mount"))
    app.router.routes += [Route("/class", Everything), Route("/plain/{id}", tell)]
    app.add_api_route("/class", echo("after the class"), methods=["GET", "PUT"])
    inner = APIRouter(prefix="/inner", route_class=DIRECT)
    inner.add_api_route("/{id}", echo("inner"))
    inner.add_api_route("/{id}", echo("inner"), methods=["PUT"])
    odd = APIRouter(prefix="/odd", route_class=OnlyForOthers)
    odd.add_api_route("/{id}", echo("others"))
    odd.add_api_route("/{other}", echo("others"))
    outer = APIRouter(prefix="/outer/{outer}")
    outer.include_router(inner)
    outer.include_router(odd)
    app.include_router(outer, prefix="/api")
    app.include_router(inner, prefix="/forbidden", dependencies=[Depends(forbid)])
    app.router.routes.append(Host("another", app=PlainTextResponse("another")))
    app.add_api_route("/{first}", echo("the last"))
    return app


def with_table() -> FastAPI:
    """The same application, with a table."""
    app = application()
    app.add_middleware(DirectRoutes)
    return app


def ask(
    app: FastAPI, method: str, path: str, *, root_path: str = "", **request: Any
) -> httpx.Response:
    """Send a request to an application in this process."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, root_path=root_path)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **request)

    return anyio.run(send)


def described(response: httpx.Response) -> tuple[object, ...]:
    """What two responses have in common if they are the same."""
    headers = {**response.headers, "allow": set(response.headers.get("allow", "").split(", "))}
    return response.status_code, headers, response.text


PATHS = [
    "", "/", "//", "/items", "/items/", "/items/1", "/items/special", "/items/a%2Fb", "/items/{}",
    "/items/%7Bid%7D", "/items/%0A", "/items/1%0A", "/items/%FF", "/items//", "/items/1/2",
    "/things/special", "/things/1", "/pairs/fixed/fixed", "/pairs/1/fixed",
    "/pairs/fixed/1", "/pairs/1/2", "/pairs//2", "/text/1", "/numbers/1", "/numbers/one",
    "/parts/1-2", "/parts/12", "/slash", "/slash/", "/empty//1", "/empty/1", "/files/special",
    "/files/1", "/files/1/2", "/mounted", "/mounted/1", "/class", "/plain/1",
    "/api/outer/1/inner/2", "/api/outer/1/inner", "/api/outer//inner/2", "/api/outer/1/odd/1",
    "/api/outer/1/odd/2", "/forbidden/inner/1", "/form", "/nowhere",
    "/nowhere/at/all",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_the_answer_is_that_of_the_router_of_fastapi(path: str) -> None:
    apps = application(), with_table()
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
        expected, answer = (described(ask(app, method, path)) for app in apps)
        assert answer == expected, method


@pytest.mark.parametrize("prefix", ["", "/", "/todo", "/items", "/todo/"])
@pytest.mark.parametrize("path", ["/items/1", "/todo/items/1", "/todoitems/1", "/items", "/todo"])
def test_the_prefix_of_a_proxy_is_no_part_of_a_path(path: str, prefix: str) -> None:
    expected, answer = (
        described(ask(app, "GET", path, root_path=prefix)) for app in (application(), with_table())
    )
    assert answer == expected


def test_a_form_is_left_to_the_routers_which_know_its_limits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    package = ModuleType("python_multipart")  # FastAPI makes no route of a form without
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.setattr(package, "__version__", "1", raising=False)
    app = FastAPI()
    app.router.route_class = DIRECT
    app.add_middleware(DirectRoutes)

    @app.post("/form")
    async def form(a: Annotated[str, Form()]) -> str:
        return a

    monkeypatch.setattr(app.router, "middleware_stack", PlainTextResponse("not in the table", 404))
    assert ask(app, "POST", "/form").text == "not in the table"


def test_another_host_may_have_routes_of_its_own() -> None:
    for host, text in (("another", "another"), ("test", '"the last"')):
        assert text in ask(with_table(), "GET", "/first", headers={"Host": host}).text


def test_a_route_that_is_added_later_is_found() -> None:
    app = with_table()
    assert ask(app, "GET", "/late/1").status_code == 404

    app.add_api_route("/late/{id}", echo("late"))
    assert ask(app, "GET", "/late/1").json()["name"] == "late"


def test_the_routes_of_all_resources_are_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    app = example.add_to(create_app(SuiteSettings()))
    monkeypatch.setattr(app.router, "middleware_stack", PlainTextResponse("not in the table", 404))

    for operation in OPERATIONS:
        path = operation.path.replace("{id}", NEVER_WAS)
        assert ask(app, operation.method, path).status_code == 401
    assert ask(app, "GET", "/nowhere").text == "not in the table"
