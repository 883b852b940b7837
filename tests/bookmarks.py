"""A second resource, declared as an engineer would: this is all it takes."""

from typing import Annotated

from pydantic import MISSING, Field

from app.api.crud_router import owned_crud_router
from app.api.identity import current_owner
from app.models.fields import Text
from app.models.owned import CreateSchema, Owned, ReadSchema, UpdateSchema

Address = Annotated[Text, Field(min_length=1, max_length=1000)]


class Bookmark(Owned, table=True):
    address: Address


class BookmarkCreate(CreateSchema):
    address: Address


class BookmarkUpdate(UpdateSchema):
    address: Address | MISSING = MISSING


class BookmarkRead(ReadSchema):
    address: Address


router = owned_crud_router(
    model=Bookmark,
    create_schema=BookmarkCreate,
    update_schema=BookmarkUpdate,
    read_schema=BookmarkRead,
    owner=current_owner,
    path="/bookmarks",
)
