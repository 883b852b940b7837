"""The operations on one item of an owned resource."""

from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from fastapi import Depends, Path, Request, Response
from starlette.exceptions import HTTPException

from app.kit.api.errors import duplicate
from app.kit.api.etags import IfMatch, IfNoneMatch, etag_headers, is_current, parse_if_match
from app.kit.api.problems import error_responses
from app.kit.db.crud import OwnedCRUD
from app.kit.db.errors import DuplicateKeyError
from app.kit.models.fields import Id
from app.kit.models.schemas import CreateSchema, ReadSchema, UpdateSchema, with_article

if TYPE_CHECKING:
    from app.kit.api.router import OwnedRouter

ItemId = Annotated[Id, Path(alias="id", description="Which one.")]


def or_404(row: ReadSchema | None) -> ReadSchema:
    """Return a row, or answer 404: the same for a stranger's row as for an id that never was."""
    if row is None:
        raise HTTPException(404, "There is nothing with this id.")
    return row


def with_etag(row: ReadSchema | None, response: Response) -> ReadSchema:
    """Return a row, and give the response its entity tag, or answer 404."""
    item = or_404(row)
    response.headers["ETag"] = item.etag
    return item


def add_create(router: "OwnedRouter") -> None:
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
    # The path of `request.url` takes ten times as long. A route matches with a newline at the end.
    path = quote(request.scope["path"].removesuffix("\n"))
    return {"ETag": row.etag, "Location": f"{path}/{row.id}"}


def add_get(router: "OwnedRouter") -> None:
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


def add_update(router: "OwnedRouter") -> None:
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
    router.add_api_route(
        "/{id}",
        update,
        methods=["PATCH"],
        operation_id=f"update{router.model.__name__}",
        summary=f"Update {with_article(router.model)}",
        description="Change the given fields. What is left out stays as it is.",
        response_model=router.schemas.read,
        responses={
            200: etag_headers(),
            **error_responses(400, 404, *router.update_conflicts, 412, 413, 415, 422),
        },
    )


def add_delete(router: "OwnedRouter") -> None:
    async def delete(
        id_: ItemId,
        owned: Annotated[OwnedCRUD, Depends(router.owned)],
        if_match: IfMatch = None,
    ) -> None:
        or_404(await owned.delete(id_, parse_if_match(if_match)))

    router.add_api_route(
        "/{id}",
        delete,
        methods=["DELETE"],
        operation_id=f"delete{router.model.__name__}",
        summary=f"Delete {with_article(router.model)}",
        description=f"Remove one of the caller's {router.name} for good.",
        status_code=204,
        response_class=Response,  # without a media type, as it has no body
        responses=error_responses(404, *router.delete_conflicts, 412, 422),
    )
