"""Tables and schemas of owned resources. No I/O."""

from app.kit.models.fields import (
    BigInteger,
    Date,
    Float,
    Id,
    Integer,
    Line,
    References,
    Text,
    Time,
)
from app.kit.models.owned import Owned
from app.kit.models.schemas import CreateSchema, ReadSchema, UpdateSchema

__all__ = [
    "BigInteger",
    "CreateSchema",
    "Date",
    "Float",
    "Id",
    "Integer",
    "Line",
    "Owned",
    "ReadSchema",
    "References",
    "Text",
    "Time",
    "UpdateSchema",
]
