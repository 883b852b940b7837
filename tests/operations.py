"""Every operation of every resource, with a request that is right.

They are read from the application's own document, so a new resource is in here by itself.
"""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
from sqlalchemy import ForeignKeyConstraint, Table, UniqueConstraint
from sqlmodel import SQLModel

from tests.document import WITH_EXAMPLE

NEVER_WAS = "019daf09-0000-7000-8000-000000000000"


@dataclass(frozen=True)
class Operation:
    """One operation of a resource."""

    name: str
    method: str
    path: str
    collection: str
    table: Table
    body: dict[str, Any] | None

    def send(self, client: httpx.Client, id_: str, **changes: Any) -> httpx.Response:
        """Do it to the item with this id, or to the collection, with changes to the request."""
        if "content" not in changes:
            changes = {"json": self.fields(client), **changes}
        return client.request(self.method, self.path.replace("{id}", id_), **changes)

    def fields(self, client: httpx.Client) -> dict[str, Any] | None:
        """The body of a request by a client, if it has one."""
        return self.body and {**self.body, **self.keys(client)}

    def keys(self, client: httpx.Client) -> dict[str, str]:
        """The fields of the body that are new each time, or refer to something of the client's."""
        keys = {}
        for constraint in self.table.constraints:
            if isinstance(constraint, UniqueConstraint):
                keys[constraint.columns.keys()[-1]] = uuid4().hex
            if isinstance(constraint, ForeignKeyConstraint):
                other = CREATE[constraint.referred_table.name].send(client, "")
                keys[constraint.columns.keys()[-1]] = other.json().get("id", NEVER_WAS)
        return {field: value for field, value in keys.items() if field in (self.body or {})}


def example_of(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """Return a value that fits a schema of a field."""
    variant = schema.get("anyOf", [schema])[0]
    if "$ref" in variant:
        return example_of(schemas[variant["$ref"].rpartition("/")[2]], schemas)
    for values in ("examples", "enum"):
        if values in variant:
            return variant[values][0]
    least = variant.get("minimum", 1)
    examples = {
        "date": "2026-11-22",
        "uuid": NEVER_WAS,
        "string": "x" * max(1, variant.get("minLength", 1)),
        "integer": int(least),
        "number": least,
        "boolean": True,
    }
    for kind in (variant.get("format"), variant.get("type")):
        if kind in examples:
            return examples[kind]
    raise NotImplementedError(f"give the field an example: {schema}")


def operations() -> list[Operation]:
    """All operations of all resources."""
    schemas = WITH_EXAMPLE["components"]["schemas"]
    found = []
    for path, methods in WITH_EXAMPLE["paths"].items():
        collection = path.partition("/{id}")[0]
        creates = WITH_EXAMPLE["paths"][collection]["post"]["operationId"]
        table = SQLModel.metadata.tables[creates.removeprefix("create").lower()]
        for method, operation in methods.items():
            body = None
            if "requestBody" in operation:
                reference = operation["requestBody"]["content"]["application/json"]["schema"]
                schema = schemas[reference["$ref"].rpartition("/")[2]]
                names = schema.get("required", schema["properties"])
                body = {name: example_of(schema["properties"][name], schemas) for name in names}
            name = operation["operationId"]
            found.append(Operation(name, method.upper(), path, collection, table, body))
    return found


OPERATIONS = operations()
CREATE = {
    operation.table.name: operation
    for operation in OPERATIONS
    if operation.name.startswith("create")
}


def create(client: httpx.Client, table: Table, **fields: Any) -> dict[str, Any]:
    """Create an item of a resource and return it."""
    operation = CREATE[table.name]
    response = operation.send(client, "", json={**(operation.fields(client) or {}), **fields})
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()
    return created
