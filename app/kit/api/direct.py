"""The direct path of a request through a route, without FastAPI's solving of dependencies.

FastAPI analyses an endpoint when its route is made, and describes it in the OpenAPI document. From
the same analysis `direct_route` makes, once, what each request then goes through:

1. The dependencies are called, that of the owner too: a stranger gets a 401 before all else.
2. The body is read and parsed. What is no JSON is a 400.
3. FastAPI's fields validate path, query, headers and body. A 422 names all that is wrong in them.
4. The endpoint is called, and the response model turns what it returns into bytes.

`DirectRoutes` finds the route of a request, and spares it what FastAPI puts around it. Errors go to
the handlers of the application, as ever. What is not known here, such as a ``def`` or ``yield``
dependency, a cookie, a form or a background task, makes FastAPI answer the requests of a route.
FastAPI answers as well while dependencies are overridden, and what is traced.
"""

import re
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from copy import deepcopy
from dataclasses import fields
from email.message import Message
from functools import lru_cache, partial
from inspect import getclosurevars, iscoroutinefunction, isfunction, isroutine, signature
from itertools import chain
from json import JSONDecodeError
from typing import Any, TypeGuard, cast, get_args
from weakref import WeakKeyDictionary

from fastapi import Depends, Request, Response, __version__
from fastapi.datastructures import DefaultPlaceholder
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import EndpointContext, RequestValidationError
from fastapi.params import Form
from fastapi.routing import APIRoute, get_request_handler, serialize_response
from fastapi.telemetry import get_telemetry_data
from fastapi.utils import is_body_allowed_for_status_code
from pydantic import BaseModel, Json
from pydantic.fields import FieldInfo
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

_CHANGED = f"{__name__} has to follow FastAPI {__version__}"
try:
    from fastapi._compat import ModelField, field_annotation_is_sequence
    from fastapi.routing import _effective_route_context_var
except ImportError as error:
    raise ImportError(_CHANGED) from error

_DUMP = ("include", "exclude", "by_alias", "exclude_unset", "exclude_defaults", "exclude_none")
_ROUTE = {
    *("dependant", "body_field", "embed_body_fields", "strict_content_type", "form_limits"),
    *("status_code", "response_class", "response_field", "stream_item_field", "is_json_stream"),
    *("dependency_overrides_provider", *(f"response_model_{name}" for name in _DUMP)),
}
"""What FastAPI makes its own handler of: all of it is known here."""

if new := signature(get_request_handler).parameters.keys() - _ROUTE:
    raise ImportError(f"{_CHANGED}: its routes have {', '.join(new)}")

_FUNCTION = {
    *("call", "name", "path", "scope", "use_cache", "dependencies"),
    *("path_params", "query_params", "header_params", "body_params"),
    *("request_param_name", "http_connection_param_name", "response_param_name"),
}
"""What is known here of an endpoint or a dependency. One that has more is left to FastAPI."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_ANSWERS: WeakKeyDictionary[Any, Handler] = WeakKeyDictionary()
"""What a handler calls, once it is known that nothing is overridden or traced."""
_ABSENT: Any = object()


class _UnknownError(Exception):
    """Only FastAPI knows how to answer."""


def direct_route(owner: Callable[..., Awaitable[str]]) -> type[APIRoute]:
    """Return the class of routes that take the direct path, or else have FastAPI answer.

    Either way a 401 comes first, though FastAPI reads the body before it calls a dependency.

    Args:
        owner: the dependency that returns the id of the caller.
    """

    class DirectRoute(APIRoute):
        def get_route_handler(self) -> Handler:
            handle = super().get_route_handler()
            included = _effective_route_context_var.get()  # with what its router adds
            route = included if included and included.original_route is self else self
            app = route.dependency_overrides_provider
            by_fastapi = _identified(handle, owner, app) if route.body_field else handle
            try:
                answer = _direct(route)
            except _UnknownError:
                return by_fastapi

            async def handle_directly(request: Request) -> Response:
                if (app and app.dependency_overrides) or get_telemetry_data():
                    return await by_fastapi(request)
                return await answer(request)

            _ANSWERS[handle_directly] = answer
            return handle_directly

    return DirectRoute


def _identified(handle: Handler, owner: Callable[..., Awaitable[str]], app: object) -> Handler:
    """Return a handler that answers an error only if the owner is known, else 401."""

    async def nothing() -> None: ...

    identify = APIRoute(
        "/", nothing, dependencies=[Depends(owner)], dependency_overrides_provider=app
    ).get_route_handler()

    async def handle_identified(request: Request) -> Response:
        try:
            return await handle(request)
        except (HTTPException, RequestValidationError):
            await identify(request)
            raise

    return handle_identified


def direct_answer(app: object) -> Handler | None:
    """Return what answers directly, if that is all that an application of a route would do.

    Args:
        app: what FastAPI has made of the handler of a route.
    """
    if not isfunction(app):
        return None
    handlers = filter(isfunction, getclosurevars(app).nonlocals.values())
    return next((_ANSWERS[handler] for handler in handlers if handler in _ANSWERS), None)


def _direct(route: APIRoute) -> Handler:
    """Return what answers the requests of a route.

    Raises:
        _UnknownError: it uses what is not known here.
    """
    field = route.body_field
    if field and (isinstance(field.field_info, Form) or not route.strict_content_type):
        raise _UnknownError
    *dependencies, endpoint = _in_order(route.dependant, field)
    respond = _respond(route)

    async def answer(request: Request) -> Response:
        solution = _Solution(request)
        for dependency in dependencies:
            if dependency.has_body:
                await solution.read_body()
            arguments = solution.arguments(dependency)
            if arguments is not None and dependency.key not in solution.results:
                solution.results[dependency.key] = await dependency.call(**arguments)
        if endpoint.has_body:
            await solution.read_body()
        arguments = solution.arguments(endpoint)
        if arguments is None or solution.errors:
            raise solution.refusal()
        return await respond(await endpoint.call(**arguments), solution.response)

    return answer


def _respond(route: APIRoute) -> Callable[[Any, Response], Awaitable[Response]]:
    """Return what makes the response of a result and of the response that the endpoint prepared."""
    field, make = route.response_field, cast("Any", route.response_class)
    is_default = isinstance(make, DefaultPlaceholder)
    if is_default:
        make = partial(Response, media_type="application/json") if field else make.value
    options = {name: getattr(route, f"response_model_{name}") for name in _DUMP}
    serialize = partial(
        serialize_response,
        field=field,
        dump_json=is_default,
        endpoint_ctx=EndpointContext(path=route.path_format),
        **options,
    )
    model: Any = field.field_info.annotation if field else None
    by_alias = options.pop("by_alias")
    # An instance of the model is valid, so that nothing is left to do but to write it.
    is_written = is_default and _is_model(model) and not any(options.values())
    written: Any = model if is_written and "revalidate_instances" not in model.model_config else ()

    async def respond(result: Any, prepared: Response) -> Response:  # noqa: ANN401 - of any type
        if isinstance(result, Response):
            return result
        if isinstance(result, written):
            content = model.__pydantic_serializer__.to_json(result, by_alias=by_alias)
        else:
            content = await serialize(response_content=result)
        status = prepared.status_code or route.status_code
        response: Response = make(content, status_code=status) if status else make(content)
        if not is_body_allowed_for_status_code(response.status_code):
            response.body = b""
        response.raw_headers.extend(prepared.raw_headers)
        return response

    return respond


class _Solution:
    """What is known of a request, and of its answer, so far."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.body = _ABSENT
        self.response = Response(status_code=0)  # so it has no Content-Length either
        self.results: dict[object, object] = {}
        self.errors: list[Any] = []
        self._is_read = False

    async def read_body(self) -> None:
        """Read the body, unless it was read for another function."""
        if not self._is_read:
            self._is_read = True
            self.body = await _body(self.request)

    def refusal(self) -> RequestValidationError:
        """Return the error of what is not valid."""
        return RequestValidationError(self.errors, body=None if self.body is _ABSENT else self.body)

    def arguments(self, function: "_Function") -> dict[Any, Any] | None:
        """Return the arguments of a function, or None if something in them is not valid."""
        is_valid, errors = True, len(self.errors)
        arguments: dict[Any, Any] = {}
        for name, key in function.dependencies:
            if key not in self.results:
                is_valid = False
            elif name:
                arguments[name] = self.results[key]
        for name, read in function.reads:
            arguments[name] = read(self)
        return arguments if is_valid and len(self.errors) == errors else None

    def valid(self, field: ModelField, value: object, *loc: str) -> object:
        """Return the value that a field makes of what was sent, or note what is wrong with it."""
        if value is _ABSENT:
            if field.field_info.is_required():
                missing = {"type": "missing", "loc": loc, "msg": "Field required", "input": None}
                self.errors.append(missing)
                return None
            value = deepcopy(field.default)
            if not field.field_info.validate_default:
                return value
        valid, errors = field.validate(value, loc=loc)
        self.errors += errors
        return valid


class _Function:
    """An endpoint or a dependency, and where its arguments come from.

    Attributes:
        key: what a result is kept by, for all that depend on it.
        dependencies: the keys of what it depends on, by the names of its arguments.
        reads: what reads its other arguments, by their names.
    """

    def __init__(self, dependant: Dependant, body: ModelField | None) -> None:
        others = {part.name for part in fields(dependant)} - _FUNCTION
        if any(getattr(dependant, other) for other in others) or not dependant.use_cache:
            raise _UnknownError
        if not _is_async(dependant.call) or dependant.body_params not in ([], [body]):
            raise _UnknownError
        self.call: Any = dependant.call
        self.key = _key(dependant)
        self.dependencies = [(part.name, _key(part)) for part in dependant.dependencies]
        self.has_body = bool(dependant.body_params)
        reads: dict[str | None, _Read] = {
            dependant.request_param_name: lambda solution: solution.request,
            dependant.http_connection_param_name: lambda solution: solution.request,
            dependant.response_param_name: lambda solution: solution.response,
            **{field.name: _read(field, "path") for field in dependant.path_params},
            **{field.name: _read(field, "query") for field in dependant.query_params},
            **{field.name: _read(field, "header") for field in dependant.header_params},
            **{field.name: _read(field, "body") for field in dependant.body_params},
        }
        self.reads = [(name, read) for name, read in reads.items() if name]


def _key(dependant: Dependant) -> object:
    return dependant.call, dependant.scope


def _in_order(dependant: Dependant, body: ModelField | None) -> list[_Function]:
    """Return all that a function depends on, in the order of the calls, and the function."""
    before = [_in_order(dependency, body) for dependency in dependant.dependencies]
    return [*chain.from_iterable(before), _Function(dependant, body)]


def _is_async(call: Any) -> bool:  # noqa: ANN401
    return iscoroutinefunction(call if isroutine(call) else type(call).__call__)


async def _body(request: Request) -> Any:  # noqa: ANN401
    """Return what a body in JSON says, or the bytes of another one."""
    try:
        body = await request.body()
        if body and _is_json(request.headers.get("content-type", "")):
            return await request.json()
    except JSONDecodeError as error:
        detail = {"type": "json_invalid", "msg": "JSON decode error", "ctx": {"error": error.msg}}
        invalid = {**detail, "loc": ("body", error.pos), "input": {}}
        raise RequestValidationError([invalid], body=error.doc) from error
    except (ClientDisconnect, RecursionError, ValueError) as error:
        raise HTTPException(400, "There was an error parsing the body") from error
    return body or _ABSENT


@lru_cache(maxsize=16)
def _is_json(content_type: str) -> bool:
    header = Message()
    header["Content-Type"] = content_type
    return bool(re.fullmatch(r"application/(.*\+)?json", header.get_content_type()))


_Read = Callable[[_Solution], object]
_Find = Callable[[Request], Sequence[Any]]


def _find(source: str, name: str) -> _Find:
    """Return what finds the values of a parameter in a request: none, one or several."""

    def in_path(request: Request) -> Sequence[Any]:
        parameters = request.scope["path_params"]
        return (parameters[name],) if name in parameters else ()

    def in_query(request: Request) -> Sequence[Any]:
        return request.query_params.getlist(name)

    def in_headers(request: Request) -> Sequence[Any]:
        headers = request.scope["headers"]
        return [value.decode("latin-1") for key, value in headers if key == sent]

    if source == "header":
        sent = name.lower().encode("latin-1")
        return in_headers
    return in_path if source == "path" else in_query


def _read(field: ModelField, source: str) -> _Read:
    """Return what reads an argument: the body, a value, several, or a model of the query."""
    if source == "body":
        return lambda solution: solution.valid(field, solution.body, source)
    annotation = field.field_info.annotation
    if _is_model(annotation) and source == "query":
        return _read_query(field, annotation)
    if any(map(_is_model, (annotation, *get_args(annotation)))):
        raise _UnknownError
    info = field.field_info
    name, is_list = _alias(field.name, info), field_annotation_is_sequence(annotation)
    find = _find(source, name)
    place = 0 if source == "header" else -1  # which of several values one is taken from
    is_none = not info.is_required() and info.default is None and not info.validate_default

    def read(solution: _Solution) -> object:
        found = find(solution.request)
        if found:
            return solution.valid(field, found if is_list else found[place], source, name)
        return None if is_none else solution.valid(field, _ABSENT, source, name)

    return read


def _read_query(field: ModelField, model: type[BaseModel]) -> _Read:
    if model.model_config.keys() & {"populate_by_name", "validate_by_name", "validate_by_alias"}:
        raise _UnknownError
    is_list = {
        _alias(name, info): field_annotation_is_sequence(info.annotation)
        for name, info in model.model_fields.items()
    }

    def read(solution: _Solution) -> object:
        sent: dict[str, list[str]] = {}
        for name, value in solution.request.query_params.multi_items():
            sent.setdefault(name, []).append(value)
        values = {
            name: given if is_list.get(name, len(given) > 1) else given[-1]
            for name, given in sent.items()
        }
        return solution.valid(field, values, "query")

    return read


def _is_model(annotation: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _alias(name: str, info: FieldInfo) -> str:
    """Return what a parameter is called in a request."""
    alias = info.validation_alias or info.alias or name
    if not isinstance(alias, str) or any(type(item) is Json for item in info.metadata):
        raise _UnknownError
    return alias
