"""Courses: a resource with each type of field that real data have, with null and without."""

from datetime import time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AnyUrl, EmailStr, Field, HttpUrl

from app.api.identity import current_owner
from app.kit.api.router import owned_crud_router
from app.kit.models import Line, Owned

NAME = "courses"
COURSES = f"/api/v1/{NAME}"

SHIFT = timedelta(days=-1, microseconds=1)
"""In it, and so in its text in SQL, the day is negative and the rest is not."""


class Course(Owned, table=True):
    """Something to learn, at certain times and for a price."""

    filterable = (
        *("code", "price", "discount", "begins", "ends", "lasts", "pause", "contact", "deputy"),
        *("balance", "days", "tags", "aliases", "grades", "fees", "rooms"),
    )
    sortable = (*Owned.sortable, "price", "ends", "pause", "code", ("discount", "-begins"))
    sortable_unindexed = ("balance", "begins", "discount", "lasts", "contact")

    code: str = Field(pattern=r"^[A-Z]{2,4}-[0-9]+(\.[0-9])?$", max_length=9, examples=["ART-101"])
    price: Decimal = Field(max_digits=8, decimal_places=2, ge=0)
    discount: Decimal | None = Field(default=None, max_digits=3, decimal_places=3, gt=0)
    balance: Decimal = Field(default=Decimal("-0.5"), max_digits=20, decimal_places=8)
    begins: time
    ends: time | None = None
    opens: time = time(8, 30)
    lasts: timedelta = Field(ge=timedelta())
    pause: timedelta | None = None
    shift: timedelta = SHIFT
    contact: EmailStr = Field(max_length=100)
    deputy: EmailStr | None = None
    site: HttpUrl
    map: HttpUrl | None = None
    link: AnyUrl = Field(default=AnyUrl("mailto:it's@example.com"), max_length=100)
    days: list[Literal["mon", "tue", "5%: it's"]] = Field(min_length=1, max_length=7)
    tags: list[Annotated[Line, Field(max_length=20)]] = Field(default_factory=list, max_length=5)
    aliases: list[Annotated[str, Field(min_length=2, max_length=9)]] | None = Field(
        default=None, max_length=5
    )
    grades: list[Annotated[int, Field(ge=1, le=6)]] = Field(default=[1, 6], max_length=5)
    fees: list[Annotated[Decimal, Field(max_digits=6, decimal_places=2, ge=0)]] = Field(
        default_factory=list, max_length=5
    )
    rooms: list[UUID] | None = Field(default=None, max_length=5)
    details: dict[str, Any]
    extra: dict[str, Any] | None = Field(default=None, max_length=3, description="Anything else.")
    options: dict[str, Any] = Field(default_factory=dict)


ROUTER = owned_crud_router(Course, owner=current_owner, path=f"/{NAME}")
