"""The router of an owned resource, with its generated operations."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from app.kit.api.direct import direct_route
from app.kit.api.items import add_create, add_delete, add_get, add_update
from app.kit.api.many import add_create_many, add_delete_many, add_list, add_update_many
from app.kit.api.problems import error_responses
from app.kit.db.crud import OwnedCRUD
from app.kit.models.constraints import is_referred_to
from app.kit.models.owned import Owned, table_of
from app.kit.models.schemas import CreateSchema, ReadSchema, Schemas, UpdateSchema, schemas_of

OwnerDependency = Callable[..., Awaitable[str]]


class OwnedRouter(APIRouter):
    """A router whose routes reach the rows of one owner.

    Attributes:
        owned: the dependency that gives a route the caller's rows, an `OwnedCRUD`.
        model: the table.
        schemas: what clients send and see.
        name: what the resource is called, and the tag of its operations.
        plural: the same in an operationId.
        description: what it is, as its model says.
        update_conflicts: 409, if an update may want a value that is taken.
        delete_conflicts: 409, if other items may refer to what is to be deleted.
    """

    def __init__(
        self, model: type[Owned], schemas: Schemas, owner: OwnerDependency, path: str
    ) -> None:
        self.model = model
        self.schemas = schemas
        self.name = path.strip("/")
        self.plural = self.name.title().replace("-", "")
        self.description = inspect.getdoc(model) or ""
        self.update_conflicts = [409] if model.unique else []
        self.delete_conflicts = [409] if is_referred_to(table_of(model)) else []
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

    Each but get and list is also there for many items at once.

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
    of_many = (add_list, add_update_many, add_delete_many, add_create_many)
    for add in (add_create, *of_many, add_get, add_update, add_delete):
        add(router)
    return router
