"""The plans of the statements that an application really sends."""

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg
from psycopg import pq
from psycopg.sql import SQL
from sqlalchemy import URL

from benchmarks.servers import address
from tests.support.wire import Session, Wire


class Statement(NamedTuple):
    """A statement as it was sent, with the values of its parameters, each a text or binary."""

    text: bytes
    types: list[int]
    values: list[bytes | None]
    formats: list[int]


@dataclass
class Listener(Wire):
    """A wire that also keeps the last statement with its values.

    PostgreSQL documentation, "Message Formats": Parse names and declares a statement, Bind gives
    values to it.
    """

    statement: Statement = field(init=False)
    _parsed: dict[bytes, tuple[bytes, list[int]]] = field(default_factory=dict)

    def _note(self, kind: bytes, body: bytes, session: Session) -> None:
        super()._note(kind, body, session)
        if kind == b"P":
            name, text, rest = body.split(b"\0", 2)
            numbers, _ = _take(rest, 4)
            self._parsed[name] = text, numbers
        if kind == b"B":
            _portal, name, rest = body.split(b"\0", 2)
            formats, rest = _take(rest, 2)
            values = _values(rest)
            text, types = self._parsed[name]
            # One format may stand for all.
            every = formats * len(values) if len(formats) == 1 else formats
            self.statement = Statement(text, types, values, every or [0] * len(values))


def _take(data: bytes, size: int) -> tuple[list[int], bytes]:
    """Take a list of numbers of some bytes each, and return it and what follows."""
    end = 2 + size * int.from_bytes(data[:2])
    return [int.from_bytes(data[at : at + size]) for at in range(2, end, size)], data[end:]


def _values(data: bytes) -> list[bytes | None]:
    values: list[bytes | None] = []
    count, data = int.from_bytes(data[:2]), data[2:]
    for _ in range(count):
        length, data = int.from_bytes(data[:4], signed=True), data[4:]
        values.append(None if length < 0 else data[:length])
        data = data[max(length, 0) :]
    return values


EXPLAINED = ["plan", "rows", "blocks", "for any values", "faults"]


def explain(database: URL, statement: Statement) -> list[str]:
    """Return the cells of a table that show the plans of a statement.

    A statement that writes is not run again, so its rows and blocks are not known.
    """
    reads = statement.text.startswith(b"SELECT")
    options = b"ANALYZE, BUFFERS, FORMAT JSON" if reads else b"FORMAT JSON"
    with psycopg.connect(address(database), autocommit=True) as connection:
        result = connection.pgconn.exec_params(
            b"EXPLAIN (%s) %s" % (options, statement.text),
            statement.values,
            statement.types,
            statement.formats,
        )
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise RuntimeError(result.get_error_message())
        [document] = json.loads(result.get_value(0, 0) or b"")
        for_any = SQL("EXPLAIN (GENERIC_PLAN, FORMAT JSON) ") + SQL(statement.text.decode())
        [[[generic]]] = connection.execute(for_any).fetchall()
    top = document["Plan"]
    nodes, generic_nodes = _nodes(top), _nodes(generic["Plan"])
    return [
        nodes,
        f"{_most_rows(top):,}" if reads else "",
        f"{top['Shared Hit Blocks'] + top['Shared Read Blocks']:,}" if reads else "",
        "the same" if generic_nodes == nodes else generic_nodes,
        ", ".join(f for f in ("Seq Scan", "Sort") if f in nodes + generic_nodes) or "none",
    ]


def _nodes(node: dict[str, Any]) -> str:
    """Return the kinds of the steps, and the indexes that they use, outermost first."""
    index = f" on {node['Index Name']}" if "Index Name" in node else ""
    below = [_nodes(child) for child in node.get("Plans", [])]
    return " → ".join([node["Node Type"] + index, *below])


def _most_rows(node: dict[str, Any]) -> int:
    """Return how many rows the step that looked at most of them looked at."""
    looked_at = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return max([int(looked_at), *(_most_rows(child) for child in node.get("Plans", []))])
