"""The operations on many items of an owned resource at once."""

from http import HTTPMethod
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, create_model

from app.kit.api.encoding import page_encoder
from app.kit.api.envelope import largest_body
from app.kit.api.errors import no_such_method
from app.kit.api.filters import SomeParameters, check_query, some_parameters
from app.kit.api.pagination import ListParameters, list_parameters, page_schema, page_values
from app.kit.api.problems import error_responses
from app.kit.db.crud import OwnedCRUD
from app.kit.models.owned import Owned
from app.kit.models.schemas import CreateSchema, ReadSchema, Schemas, UpdateSchema, words_of

if TYPE_CHECKING:
    from app.kit.api.router import OwnedRouter

LARGEST_BATCH = 100
LARGEST_BODY = 1024 * 1024
"""Bytes."""


class Batch(BaseModel):
    """New items."""

    model_config = ConfigDict(extra="forbid")

    items: list[CreateSchema]


class Items(BaseModel):
    """Items, in the order in which they were sent."""

    items: list[ReadSchema]


class Count(BaseModel):
    """How many items there were."""

    count: Annotated[
        int,
        Field(
            ge=0,
            le=2**53 - 1,
            description="How many items were changed or deleted.",
            json_schema_extra={"format": "int64"},
        ),
    ]


def batch_schemas(model: type[Owned], schemas: Schemas) -> tuple[type[Batch], type[Items]]:
    """Return the schemas of a request to create many items, and of its answer."""
    return (
        create_model(
            f"{model.__name__}BatchCreate",
            __base__=Batch,
            __doc__=f"Each is a new {words_of(model)}.",
            items=(_list(schemas.create, min_length=1), ...),
        ),
        create_model(
            f"{model.__name__}BatchRead",
            __base__=Items,
            __doc__=Items.__doc__,
            items=(_list(schemas.read), ...),
        ),
    )


def _list(schema: type[BaseModel], **bounds: Any) -> Any:  # noqa: ANN401 - an annotation
    return Annotated[list[schema], Field(max_length=LARGEST_BATCH, **bounds)]  # type: ignore[valid-type]


def add_list(router: "OwnedRouter") -> None:
    page = page_schema(router.model, router.schemas.read)
    encode = page_encoder(page, router.schemas.read)

    async def get_page(
        request: Request,
        parameters: ListParameters,
        owned: Annotated[OwnedCRUD, Depends(router.owned)],
    ) -> Response:
        check_query(request.scope["query_string"])
        position = parameters.position
        rows, total = await owned.get_page_values(
            sort=parameters.sort,
            limit=parameters.limit + 1,
            filters=parameters.filters,
            search=parameters.search,
            position=position,
            total=parameters.total,
        )
        values = page_values(rows, total, parameters, position)
        return Response(encode(values), media_type="application/json")

    parameters = list_parameters(router.model, router.schemas.read)
    get_page.__annotations__["parameters"] = Annotated[parameters, Query()]
    router.add_api_route(
        "",
        get_page,
        methods=["GET"],
        operation_id=f"list{router.plural}",
        summary=f"List {router.name}",
        description=f"Show the caller's {router.name}, a page at a time.",
        response_model=page,
        responses=error_responses(422),
    )


def add_update_many(router: "OwnedRouter") -> None:
    async def update_many(
        request: Request,
        parameters: SomeParameters,
        item: UpdateSchema,
        owned: Annotated[OwnedCRUD, Depends(router.owned)],
    ) -> Count:
        check_query(request.scope["query_string"])
        count = await owned.update_many(
            item.model_dump(), filters=parameters.filters, search=parameters.search
        )
        return Count(count=count)

    update_many.__annotations__ |= {
        "parameters": Annotated[some_parameters(router.model), Query()],
        "item": router.schemas.update,
    }
    router.add_api_route(
        "",
        update_many,
        methods=["PATCH"],
        operation_id=f"update{_several(router)}",
        summary=f"Update {router.name}",
        description=f"Change the given fields of all of the caller's {router.name} that match each"
        " filter, of which one at least is needed: all of them, or none. There is no `If-Match`.",
        responses=error_responses(400, *router.update_conflicts, 413, 415, 422),
    )


def add_delete_many(router: "OwnedRouter") -> None:
    async def delete_many(
        request: Request,
        parameters: SomeParameters,
        owned: Annotated[OwnedCRUD, Depends(router.owned)],
    ) -> Count:
        check_query(request.scope["query_string"])
        count = await owned.delete_many(filters=parameters.filters, search=parameters.search)
        return Count(count=count)

    parameters = some_parameters(router.model)
    delete_many.__annotations__["parameters"] = Annotated[parameters, Query()]
    router.add_api_route(
        "",
        delete_many,
        methods=["DELETE"],
        operation_id=f"delete{_several(router)}",
        summary=f"Delete {router.name}",
        description=f"Remove all of the caller's {router.name} that match each filter, of which one"
        " at least is needed: all of them, or none. There is no `If-Match`.",
        responses=error_responses(*router.delete_conflicts, 422),
    )


def add_create_many(router: "OwnedRouter") -> None:
    batch_schema, items_schema = batch_schemas(router.model, router.schemas)

    @largest_body(LARGEST_BODY)
    async def create_many(
        batch: Batch, owned: Annotated[OwnedCRUD, Depends(router.owned)]
    ) -> Items:
        rows = await owned.create_many([item.model_dump() for item in batch.items])
        return Items.model_construct(items=rows)

    create_many.__annotations__["batch"] = batch_schema
    router.add_api_route(
        "/batch",
        create_many,
        methods=["POST"],
        operation_id=f"create{_several(router)}",
        summary=f"Create {router.name}",
        description=f"Store up to {LARGEST_BATCH} {router.name} that belong to the caller, all or"
        " none. The answer has them in the same order. The body has 1 MiB at most.",
        status_code=201,
        response_model=items_schema,
        responses=error_responses(400, 409, 413, 415, 422),
    )
    others: list[str] = [method for method in HTTPMethod if method != "POST"]
    router.add_api_route("/batch", no_such_method, methods=others, include_in_schema=False)


def _several(router: "OwnedRouter") -> str:
    """Return what an operationId for many items ends with, unlike that for one."""
    return f"{'Many' * (router.plural == router.model.__name__)}{router.plural}"
