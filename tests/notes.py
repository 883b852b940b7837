"""A second resource, declared as an engineer would: this is all it takes."""

from typing import Annotated

from pydantic import MISSING, Field

from app.api.crud_router import owned_crud_router
from app.api.identity import current_owner
from app.models.fields import Text
from app.models.owned import CreateSchema, Owned, ReadSchema, UpdateSchema

Body = Annotated[Text, Field(min_length=1, max_length=1000)]


class Note(Owned, table=True):
    body: Body


class NoteCreate(CreateSchema):
    body: Body


class NoteUpdate(UpdateSchema):
    body: Body | MISSING = MISSING


class NoteRead(ReadSchema):
    body: Body


router = owned_crud_router(
    model=Note,
    create_schema=NoteCreate,
    update_schema=NoteUpdate,
    read_schema=NoteRead,
    owner=current_owner,
    path="/notes",
)
