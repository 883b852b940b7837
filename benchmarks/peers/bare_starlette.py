"""Starlette, msgspec and SQL: about the least that Python takes."""

from typing import Annotated, Any
from uuid import UUID

from msgspec import UNSET, DecodeError, Meta, Struct, UnsetType, convert, to_builtins
from msgspec.json import Decoder, encode
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.peers import sql

Title = Annotated[str, Meta(min_length=1, max_length=200)]
Description = Annotated[str, Meta(max_length=5000)]


class TaskCreate(Struct):
    """A new task."""

    title: Title
    description: Description | None = None
    completed: bool = False


class TaskUpdate(Struct):
    """The fields to change."""

    title: Title | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    completed: bool | UnsetType = UNSET


class Page(Struct):
    """A part of a list."""

    offset: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=100)] = 50


new = Decoder(TaskCreate)
changed = Decoder(TaskUpdate)


def current_owner(request: Request) -> str:
    """Return who is asking, or answer 401."""
    owner = request.headers.get("x-user-id")
    if not owner:
        raise HTTPException(401)
    return owner


def task_id(request: Request) -> UUID:
    """Return the id in the path, or answer 422."""
    return convert(request.path_params["id"], UUID)


def answer(content: Any, status: int = 200) -> Response:  # noqa: ANN401 - anything that is JSON
    """Return a response of JSON."""
    return Response(encode(content), status, media_type="application/json")


async def create_task(request: Request) -> Response:
    """Store a task."""
    owner, item = current_owner(request), new.decode(await request.body())
    return answer(await sql.create(owner, to_builtins(item)), 201)


async def list_tasks(request: Request) -> Response:
    """Show tasks, the newest first."""
    owner, page = current_owner(request), convert(request.query_params, Page, strict=False)
    return answer(await sql.page(owner, page.offset, page.limit))


async def read_task(request: Request) -> Response:
    """Show a task."""
    return answer(await sql.read(current_owner(request), task_id(request)))


async def update_task(request: Request) -> Response:
    """Change the given fields."""
    owner, id_ = current_owner(request), task_id(request)
    item = changed.decode(await request.body())
    return answer(await sql.update(owner, id_, to_builtins(item)))


async def toggle_task(request: Request) -> Response:
    """Complete a task, or reopen it."""
    return answer(await sql.toggle(current_owner(request), task_id(request)))


async def delete_task(request: Request) -> Response:
    """Remove a task."""
    await sql.delete(current_owner(request), task_id(request))
    return Response(status_code=204)


async def refuse(_request: Request, error: Exception) -> Response:
    """Say what is wrong with a request."""
    if isinstance(error, HTTPException):
        return answer({"detail": error.detail}, error.status_code)
    return answer({"detail": str(error)}, 422)


app = Starlette(
    routes=[
        Route("/api/v1/tasks", create_task, methods=["POST"]),
        Route("/api/v1/tasks", list_tasks, methods=["GET"]),
        Route("/api/v1/tasks/{id}", read_task, methods=["GET"]),
        Route("/api/v1/tasks/{id}", update_task, methods=["PATCH"]),
        Route("/api/v1/tasks/{id}/toggle", toggle_task, methods=["POST"]),
        Route("/api/v1/tasks/{id}", delete_task, methods=["DELETE"]),
    ],
    exception_handlers={HTTPException: refuse, DecodeError: refuse, UnicodeDecodeError: refuse},
    lifespan=sql.lifespan,
)
