"""The five generated operations of an owned resource."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response
from fastcrud import EndpointCreator
from pydantic import BaseModel

from app.kit.api.etags import IfMatch, IfNoneMatch, etag, is_current, tagged, versions
from app.kit.api.pagination import ListParameters, Page, list_parameters, page_schema
from app.kit.api.problems import documented
from app.kit.db.crud import OwnedCRUD
from app.kit.db.database import Database
from app.kit.models.constraints import is_referred_to
from app.kit.models.fields import Id
from app.kit.models.owned import CreateSchema, Owned, ReadSchema, UpdateSchema

RowT = TypeVar("RowT", bound=ReadSchema)
Endpoint = Callable[..., Awaitable[Any]]
OwnerDependency = Callable[..., Awaitable[str]]
ItemId = Annotated[Id, Path(alias="id", description="Which one.")]


class OwnedRouter(APIRouter):
    """A router whose routes reach the rows of one owner.

    Attributes:
        owned: the dependency that gives a route the `OwnedCRUD` of whoever is asking.
        name: what the resource is called, and the tag of its operations.
        description: what it is, as its model says.
    """

    def __init__(self, crud: OwnedCRUD[ReadSchema], owner: OwnerDependency, path: str) -> None:
        self.name = path.strip("/")
        self.description = inspect.getdoc(crud.model) or ""
        super().__init__(
            prefix=path,
            tags=[self.name],
            responses=documented(401, 500, 503),
        )

        async def owned(
            request: Request, owner_id: Annotated[str, Depends(owner)]
        ) -> OwnedCRUD[ReadSchema]:
            database: Database = request.state.database
            return crud.bind(database.owned_by(owner_id))

        self.owned = owned


def owned_crud_router(
    *,
    model: type[Owned],
    create_schema: type[CreateSchema],
    update_schema: type[UpdateSchema],
    read_schema: type[ReadSchema],
    owner: OwnerDependency,
    path: str,
) -> OwnedRouter:
    """Return a router with the operations create, list, get, update and delete.

    Args:
        model: the table.
        create_schema: what a client sends to create a row.
        update_schema: what a client sends to change a row.
        read_schema: what a client is shown.
        owner: the dependency that returns the id of whoever is asking.
        path: where the resource is, such as ``/tasks``. Its name is part of the operationIds.

    Raises:
        TypeError: ``model`` has no owner, or a list of it cannot do what it declares.
    """
    creator = _OwnedEndpointCreator(
        model=model,
        create_schema=create_schema,
        update_schema=update_schema,
        read_schema=read_schema,
        owner=owner,
        path=path,
    )
    creator.add_routes_to_router()
    return creator.router


def found(row: RowT | None) -> RowT:
    """Return a row, or answer 404: the same for a stranger's row as for an id that never was."""
    if row is None:
        raise HTTPException(404, "There is nothing with this id.")
    return row


def shown(row: RowT | None, response: Response) -> RowT:
    """Return a row, and give the response its entity tag, or answer 404."""
    item = found(row)
    response.headers["ETag"] = etag(item)
    return item


class _OwnedEndpointCreator(EndpointCreator):
    """FastCRUD's endpoints, overridden to answer as the contract says, each in one statement."""

    def __init__(
        self,
        *,
        model: type[Owned],
        create_schema: type[CreateSchema],
        update_schema: type[UpdateSchema],
        read_schema: type[ReadSchema],
        owner: OwnerDependency,
        path: str,
    ) -> None:
        crud = OwnedCRUD(model, read_schema)
        router = OwnedRouter(crud, owner, path)
        super().__init__(
            session=router.owned,
            model=model,
            create_schema=create_schema,
            update_schema=update_schema,
            select_schema=read_schema,
            crud=crud,
        )
        self.router: OwnedRouter = router
        self.list_parameters = list_parameters(model, read_schema)
        self.page_schema = page_schema(f"{model.__name__}Page", read_schema)
        self.primary_key_names.remove("owner_id")  # it comes with the request, not in the path

    def _create_item(self) -> Endpoint:
        async def create(
            item: BaseModel,
            owned: Annotated[OwnedCRUD[ReadSchema], Depends(self.router.owned)],
            request: Request,
            response: Response,
        ) -> ReadSchema:
            row = shown(await owned.create(item.model_dump()), response)
            response.headers["Location"] = f"{request.url.path}/{row.id}"
            return row

        create.__annotations__["item"] = self.create_schema
        return create

    def _read_item(self) -> Endpoint:
        async def get(
            id_: ItemId,
            owned: Annotated[OwnedCRUD[ReadSchema], Depends(self.router.owned)],
            response: Response,
            if_none_match: IfNoneMatch = None,
        ) -> ReadSchema | Response:
            row = shown(await owned.get(id_), response)
            if is_current(if_none_match, row):
                return Response(None, 304, response.headers)
            return row

        return get

    def _read_items(self) -> Endpoint:
        async def get_page(
            parameters: ListParameters,
            owned: Annotated[OwnedCRUD[ReadSchema], Depends(self.router.owned)],
        ) -> Page[Any]:
            rows = await owned.get_page(
                sort=parameters.sort,
                limit=parameters.limit + 1,
                filters=parameters.filters,
                search=parameters.search,
                after=parameters.after,
            )
            return self.page_schema.of(rows, parameters)

        get_page.__annotations__["parameters"] = Annotated[self.list_parameters, Query()]
        return get_page

    def _update_item(self) -> Endpoint:
        async def update(
            id_: ItemId,
            item: BaseModel,
            owned: Annotated[OwnedCRUD[ReadSchema], Depends(self.router.owned)],
            response: Response,
            if_match: IfMatch = None,
        ) -> ReadSchema:
            row = await owned.update(id_, item.model_dump(), versions(if_match))
            return shown(row, response)

        update.__annotations__["item"] = self.update_schema
        return update

    def _delete_item(self) -> Endpoint:
        async def delete(
            id_: ItemId,
            owned: Annotated[OwnedCRUD[ReadSchema], Depends(self.router.owned)],
            if_match: IfMatch = None,
        ) -> None:
            found(await owned.delete(id_, versions(if_match)))

        return delete

    def add_routes_to_router(self) -> None:  # type: ignore[override]
        """Add the routes, each with what the contract says of it."""
        name = self.model.__name__
        one, many = _with_article(name.lower()), self.router.name
        item = f"/{{{self.primary_key_names[0]}}}"
        taken = [409] if self.model.unique else []
        referred_to = [409] if is_referred_to(self.model.__table__) else []
        add = self.router.add_api_route
        add(
            "",
            self._create_item(),
            methods=["POST"],
            operation_id=f"create{name}",
            summary=f"Create {one}",
            description=f"Store {one} that belongs to the caller.",
            status_code=201,
            response_model=self.select_schema,
            responses={201: tagged("Location"), **documented(400, 409, 413, 415, 422)},
        )
        add(
            "",
            self._read_items(),
            methods=["GET"],
            operation_id=f"list{many.title().replace('-', '')}",
            summary=f"List {many}",
            description=f"Show the caller's {many}, a page at a time.",
            response_model=self.page_schema,
            responses=documented(422),
        )
        add(
            item,
            self._read_item(),
            methods=["GET"],
            operation_id=f"get{name}",
            summary=f"Get {one}",
            description=f"Show one of the caller's {many}.",
            response_model=self.select_schema,
            responses={200: tagged(), 304: tagged(), **documented(404, 422)},
        )
        add(
            item,
            self._update_item(),
            methods=["PATCH"],
            operation_id=f"update{name}",
            summary=f"Update {one}",
            description="Change the given fields. What is left out stays as it is.",
            response_model=self.select_schema,
            responses={200: tagged(), **documented(400, 404, *taken, 412, 413, 415, 422)},
        )
        add(
            item,
            self._delete_item(),
            methods=["DELETE"],
            operation_id=f"delete{name}",
            summary=f"Delete {one}",
            description=f"Remove one of the caller's {many} for good.",
            status_code=204,
            response_class=Response,  # without a media type, as it has no body
            responses=documented(404, *referred_to, 412, 422),
        )


def _with_article(noun: str) -> str:
    # At the start of a word, u is mostly no vowel: a user, a unit.
    return f"{'an' if noun.startswith(('a', 'e', 'i', 'o')) else 'a'} {noun}"
