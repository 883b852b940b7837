"""The five generated operations of an owned resource."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from starlette.exceptions import HTTPException

from app.kit.api.direct import direct_route
from app.kit.api.errors import duplicate
from app.kit.api.etags import IfMatch, IfNoneMatch, etag, etag_headers, is_current, parse_if_match
from app.kit.api.pagination import (
    ListParameters,
    Page,
    check_query,
    list_parameters,
    page_schema,
)
from app.kit.api.problems import error_responses
from app.kit.db.crud import OwnedCRUD
from app.kit.db.errors import DuplicateKeyError
from app.kit.models.constraints import is_referred_to
from app.kit.models.fields import Id
from app.kit.models.owned import Owned
from app.kit.models.schemas import (
    CreateSchema,
    ReadSchema,
    Schemas,
    UpdateSchema,
    schemas_of,
    with_article,
)

OwnerDependency = Callable[..., Awaitable[str]]
ItemId = Annotated[Id, Path(alias="id", description="Which one.")]


class OwnedRouter(APIRouter):
    """A router whose routes reach the rows of one owner.

    Attributes:
        owned: the dependency that gives a route the caller's rows, an `OwnedCRUD`.
        model: the table.
        schemas: what clients send and see.
        name: what the resource is called, and the tag of its operations.
        description: what it is, as its model says.
    """

    def __init__(
        self, model: type[Owned], schemas: Schemas, owner: OwnerDependency, path: str
    ) -> None:
        self.model = model
        self.schemas = schemas
        self.name = path.strip("/")
        self.description = inspect.getdoc(model) or ""
        super().__init__(
            prefix=path,
            tags=[self.name],
            responses=error_responses(401, 500, 503),
            route_class=direct_route(owner),
        )
        crud = OwnedCRUD(model, schemas.read)

        async def owned(request: Request, owner_id: Annotated[str, Depends(owner)]) -> OwnedCRUD:
            return crud.bind(request.state.database, owner_id)

        self.owned = owned


def owned_crud_router(
    model: type[Owned],
    *,
    owner: OwnerDependency,
    path: str,
    create_schema: type[CreateSchema] | None = None,
    update_schema: type[UpdateSchema] | None = None,
    read_schema: type[ReadSchema] | None = None,
) -> OwnedRouter:
    """Return a router with the operations create, list, get, update and delete.

    Args:
        model: the table. The schemas are derived from it, unless they are given.
        owner: the dependency that returns the id of the caller.
        path: where the resource is, such as ``/tasks``. Its name is part of the operationIds.
        create_schema: what a client sends to create a row.
        update_schema: what a client sends to change a row.
        read_schema: what a client is shown.

    Raises:
        TypeError: ``model`` has no owner, or a schema or a list cannot do what is declared.
    """
    if not issubclass(model, Owned):
        raise TypeError(f"{model.__name__} has no owner: derive it from Owned")
    schemas = schemas_of(model, create_schema, update_schema, read_schema)
    router = OwnedRouter(model, schemas, owner, path)
    _add_create(router)
    _add_list(router)
    _add_get(router)
    _add_update(router)
    _add_delete(router)
    return router


def or_404(row: ReadSchema | None) -> ReadSchema:
    """Return a row, or answer 404: the same for a stranger's row as for an id that never was."""
    if row is None:
        raise HTTPException(404, "There is nothing with this id.")
    return row


def with_etag(row: ReadSchema | None, response: Response) -> ReadSchema:
    """Return a row, and give the response its entity tag, or answer 404."""
    item = or_404(row)
    response.headers["ETag"] = etag(item)
    return item


def _add_create(router: OwnedRouter) -> None:
    one = with_article(router.model)

    async def create(
        item: CreateSchema,
        owned: Annotated[OwnedCRUD, Depends(router.owned)],
        request: Request,
        response: Response,
    ) -> ReadSchema | Response:
        try:
            row = await owned.create(item.model_dump())
        except DuplicateKeyError as error:
            existing = error.existing
            return duplicate(error, _whereabouts(existing, request) if existing else {})
        response.headers.update(_whereabouts(row, request))
        return row

    create.__annotations__["item"] = router.schemas.create
    refused = error_responses(400, 409, 413, 415, 422)
    refused[409] |= etag_headers("Location", required=False)  # only if the id is what is there
    router.add_api_route(
        "",
        create,
        methods=["POST"],
        operation_id=f"create{router.model.__name__}",
        summary=f"Create {one}",
        description=f"Store {one} that belongs to the caller.",
        status_code=201,
        response_model=router.schemas.read,
        responses={201: etag_headers("Location"), **refused},
    )


def _whereabouts(row: ReadSchema, request: Request) -> dict[str, str]:
    return {"ETag": etag(row), "Location": f"{request.url.path}/{row.id}"}


def _add_list(router: OwnedRouter) -> None:
    page = page_schema(f"{router.model.__name__}Page", router.schemas.read)

    async def get_page(
        request: Request,
        parameters: ListParameters,
        owned: Annotated[OwnedCRUD, Depends(router.owned)],
    ) -> Page[Any]:
        check_query(request.scope["query_string"])
        rows = await owned.get_page(
            sort=parameters.sort,
            limit=parameters.limit + 1,
            filters=parameters.filters,
            search=parameters.search,
            after=parameters.after,
        )
        return page.of(rows, parameters)

    parameters = list_parameters(router.model, router.schemas.read)
    get_page.__annotations__["parameters"] = Annotated[parameters, Query()]
    router.add_api_route(
        "",
        get_page,
        methods=["GET"],
        operation_id=f"list{router.name.title().replace('-', '')}",
        summary=f"List {router.name}",
        description=f"Show the caller's {router.name}, a page at a time.",
        response_model=page,
        responses=error_responses(422),
    )


def _add_get(router: OwnedRouter) -> None:
    async def get(
        id_: ItemId,
        owned: Annotated[OwnedCRUD, Depends(router.owned)],
        response: Response,
        if_none_match: IfNoneMatch = None,
    ) -> ReadSchema | Response:
        row = with_etag(await owned.get(id_), response)
        if is_current(if_none_match, row):
            return Response(None, 304, response.headers)
        return row

    router.add_api_route(
        "/{id}",
        get,
        methods=["GET"],
        operation_id=f"get{router.model.__name__}",
        summary=f"Get {with_article(router.model)}",
        description=f"Show one of the caller's {router.name}.",
        response_model=router.schemas.read,
        responses={200: etag_headers(), 304: etag_headers(), **error_responses(404, 422)},
    )


def _add_update(router: OwnedRouter) -> None:
    async def update(
        id_: ItemId,
        item: UpdateSchema,
        owned: Annotated[OwnedCRUD, Depends(router.owned)],
        response: Response,
        if_match: IfMatch = None,
    ) -> ReadSchema:
        row = await owned.update(id_, item.model_dump(), parse_if_match(if_match))
        return with_etag(row, response)

    update.__annotations__["item"] = router.schemas.update
    taken = [409] if router.model.unique else []
    router.add_api_route(
        "/{id}",
        update,
        methods=["PATCH"],
        operation_id=f"update{router.model.__name__}",
        summary=f"Update {with_article(router.model)}",
        description="Change the given fields. What is left out stays as it is.",
        response_model=router.schemas.read,
        responses={200: etag_headers(), **error_responses(400, 404, *taken, 412, 413, 415, 422)},
    )


def _add_delete(router: OwnedRouter) -> None:
    async def delete(
        id_: ItemId,
        owned: Annotated[OwnedCRUD, Depends(router.owned)],
        if_match: IfMatch = None,
    ) -> None:
        or_404(await owned.delete(id_, parse_if_match(if_match)))

    table = router.model.__table__  # type: ignore[attr-defined]
    referred_to = [409] if is_referred_to(table) else []
    router.add_api_route(
        "/{id}",
        delete,
        methods=["DELETE"],
        operation_id=f"delete{router.model.__name__}",
        summary=f"Delete {with_article(router.model)}",
        description=f"Remove one of the caller's {router.name} for good.",
        status_code=204,
        response_class=Response,  # without a media type, as it has no body
        responses=error_responses(404, *referred_to, 412, 422),
    )
