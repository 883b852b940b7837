"""Every operation of every resource, with a request that is right.

They are read from the application's own document, so a new resource is in here by itself.
"""

from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx
from sqlalchemy import ForeignKeyConstraint, Table, UniqueConstraint
from sqlmodel import SQLModel

from tests.support.document import WITH_EXAMPLE
from tests.support.tasks import NEVER_WAS
from tests.support.values import Schema, example_of, resolved, value_of

_NUMBERS = count()


@dataclass(frozen=True)
class Operation:
    """One operation of a resource."""

    name: str
    method: str
    path: str
    collection: str
    table: Table
    schemas: dict[str, Schema] | None
    """Those of the fields of the body, or of each of its items, if there is one."""
    filters: bool
    """Whether it takes filters, of which one at least is needed."""

    @property
    def is_batch(self) -> bool:
        """Whether it creates many items."""
        return self.path.endswith("/batch")

    def send(self, client: httpx.Client, id_: str, **changes: Any) -> httpx.Response:
        """Do it to the item with this id, or to the collection, with changes to the request."""
        if "content" not in changes:
            changes = {"json": self.body(client), **changes}
        if self.filters:
            changes = {"params": {"id__in": [id_, NEVER_WAS]}, **changes}
        return client.request(self.method, self.path.replace("{id}", id_), **changes)

    def body(self, client: httpx.Client) -> dict[str, Any] | None:
        """The body of a request by a client, if it has one."""
        if self.is_batch:
            return {"items": [self.fields(client) for _ in range(2)]}
        return self.fields(client)

    def fields(self, client: httpx.Client) -> dict[str, Any] | None:
        """The fields of an item that a client sends, if it sends any."""
        if self.schemas is None:
            return None
        examples = {field: example_of(schema) for field, schema in self.schemas.items()}
        return {**examples, **self.keys(client, self.schemas)}

    def keys(self, client: httpx.Client, schemas: dict[str, Schema]) -> dict[str, Any]:
        """The fields of the body that are new each time, or refer to something of the client's."""
        new, referring = {}, {}
        for constraint in self.table.constraints:
            if not isinstance(constraint, UniqueConstraint | ForeignKeyConstraint):
                continue
            field = constraint.columns.keys()[-1]
            if field not in schemas:
                continue
            if isinstance(constraint, UniqueConstraint):
                new[field] = value_of(schemas[field], next(_NUMBERS))
            if isinstance(constraint, ForeignKeyConstraint):
                other = CREATE[constraint.referred_table.name].send(client, "")
                referring[field] = other.json().get("id", NEVER_WAS)
        return {**new, **referring}


def operations() -> list[Operation]:
    """All operations of all resources."""
    schemas = WITH_EXAMPLE["components"]["schemas"]
    found = []
    for path, methods in WITH_EXAMPLE["paths"].items():
        collection = path.partition("/{id}")[0].removesuffix("/batch")
        creates = WITH_EXAMPLE["paths"][collection]["post"]["operationId"]
        table = SQLModel.metadata.tables[creates.removeprefix("create").lower()]
        for method, operation in methods.items():
            fields = None
            if "requestBody" in operation:
                reference = operation["requestBody"]["content"]["application/json"]["schema"]
                schema = schemas[reference["$ref"].rpartition("/")[2]]
                if "items" in schema["properties"]:
                    item = schema["properties"]["items"]["items"]["$ref"]
                    schema = schemas[item.rpartition("/")[2]]
                names = schema.get("required", schema["properties"])
                fields = {
                    name: resolved(name, schema["properties"][name], schemas)
                    for name in names
                    if name != "id"
                }
            name = operation["operationId"]
            filters = path == collection and method in {"patch", "delete"}
            found.append(Operation(name, method.upper(), path, collection, table, fields, filters))
    return found


OPERATIONS = operations()
CREATE = {
    operation.table.name: operation
    for operation in OPERATIONS
    if operation.name.startswith("create") and not operation.is_batch
}


def create(client: httpx.Client, table: Table, **fields: Any) -> dict[str, Any]:
    """Create an item of a resource and return it."""
    operation = CREATE[table.name]
    response = operation.send(client, "", json={**(operation.fields(client) or {}), **fields})
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()
    return created
