"""What routes accept in paths and query strings: everything else is refused by name."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from funcledger_read_models.documents import Key
from funcledger_schemas.ids import is_id
from funcledger_schemas.lifecycle import Status
from funcledger_web.handlers import invalid_field

#: The longest a request may wait, in seconds.
WAIT_LIMIT = 300.0
#: Most items of one page.
PAGE_LIMIT = 1000
#: Most items to be passed over before a page.
OFFSET_LIMIT = 1000


def _checked(text: str) -> str:
    if not is_id(text):
        raise ValueError("not an id: ids are UUIDs of 36 characters in lower case")
    return text


Id = Annotated[str, AfterValidator(_checked)]
PathId = Annotated[Id, Path(max_length=64)]
Wait = Annotated[float, Query(ge=0, le=WAIT_LIMIT, description="Seconds to wait for an outcome.")]
Role = Literal["owner", "any"]


class Strict(BaseModel):
    """Fields that are named here and no others."""

    model_config = ConfigDict(extra="forbid")


class TaskFilters(Strict):
    """Which tasks to list; all must hold."""

    status: Status | None = None
    endpoint_id: Id | None = None
    function_id: Id | None = None
    batch_id: Id | None = None
    limit: int = Field(100, ge=1, le=PAGE_LIMIT)
    cursor: str | None = Field(None, max_length=1000)


class BatchPage(Strict):
    """Which part of a batch to list."""

    limit: int = Field(PAGE_LIMIT, ge=1, le=10 * PAGE_LIMIT)
    cursor: str | None = Field(None, max_length=1000)


class EndpointFilters(Strict):
    """Which endpoints to list: one's own, or any one may use."""

    role: Role = "any"
    name: str | None = Field(None, max_length=200)
    limit: int = Field(PAGE_LIMIT, ge=1, le=PAGE_LIMIT)
    cursor: str | None = Field(None, max_length=1000)


class FunctionFilters(Strict):
    """Which functions to list: one's own, or any one may use; ``search`` looks at name and description.

    ``offset`` is how older programs go on: all before it are read again, as they are not by ``cursor``.
    """

    role: Role = "any"
    search: str = Field("", max_length=200)
    limit: int = Field(100, ge=1, le=PAGE_LIMIT)
    offset: int = Field(0, ge=0, le=OFFSET_LIMIT)
    cursor: str | None = Field(None, max_length=1000)


def cursor_of(key: Key) -> str:
    """The cursor after the document with this key; clients treat it as opaque."""
    return "/".join(key)


def key_of(cursor: str | None, prefix: Key, parts: int) -> Key | None:
    """The key, under this prefix, whose last ``parts`` fields a cursor holds.

    Raises:
        Problem: it is not a cursor of ours.
    """
    if cursor is None:
        return None
    rest = tuple(cursor.split("/"))
    if len(rest) != parts or not all(is_id(part) for part in rest):
        raise invalid_field("cursor", "not a cursor of this list; begin without one")
    return (*prefix, *rest)


def id_after(cursor: str | None) -> str | None:
    """The id that a cursor of functions or endpoints holds.

    Raises:
        Problem: it is not a cursor of ours.
    """
    key = key_of(cursor, (), 1)
    return None if key is None else key[0]


def decoded(text: bytes, kind: type[Any]) -> Any:
    """JSON as a value of this class.

    Raises:
        Problem: it is not.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid_field("body", str(error)) from None
