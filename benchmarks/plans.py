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
    """A wire that also keeps the values of the last statement.

    PostgreSQL documentation, "Message Formats": Parse names and declares a statement, Bind gives
    values to it.
    """

    last: Statement | None = None
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
            self.last = Statement(text, types, values, every or [0] * len(values))


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


@dataclass(frozen=True)
class Plan:
    """A plan: that for the values which were sent, and that for any values.

    Attributes:
        nodes: the kinds of its steps, and the indexes that they use, outermost first.
        blocks: how many blocks of 8 KiB it touched; None for a statement that writes, which is
            not run again.
        rows: how many rows it looked at, in the step that looked at most; None likewise.
        generic: the steps of the plan for any values.
    """

    nodes: str
    blocks: int | None
    rows: int | None
    generic: str

    @property
    def faults(self) -> str:
        """What must not be in a plan and is in one of the two."""
        return ", ".join(f for f in ("Seq Scan", "Sort") if f in f"{self.nodes} {self.generic}")


def plan(database: URL, statement: Statement) -> Plan:
    """Return the plans of a statement that was sent."""
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
        explain = SQL("EXPLAIN (GENERIC_PLAN, FORMAT JSON) ") + SQL(statement.text.decode())
        [[[generic]]] = connection.execute(explain).fetchall()
    top = document["Plan"]
    blocks = top["Shared Hit Blocks"] + top["Shared Read Blocks"] if reads else None
    return Plan(_nodes(top), blocks, _most_rows(top) if reads else None, _nodes(generic["Plan"]))


def _nodes(node: dict[str, Any]) -> str:
    index = f" on {node['Index Name']}" if "Index Name" in node else ""
    below = [_nodes(child) for child in node.get("Plans", [])]
    return " → ".join([node["Node Type"] + index, *below])


def _most_rows(node: dict[str, Any]) -> int:
    looked_at = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return max([int(looked_at), *(_most_rows(child) for child in node.get("Plans", []))])
