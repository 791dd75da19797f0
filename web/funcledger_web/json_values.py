"""How many values a JSON body may hold: two bytes of JSON can take a hundred times as many in memory."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from funcledger_schemas.frames import MEDIA_TYPE as FRAME
from funcledger_schemas.limits import JSON_VALUES_LIMIT
from funcledger_web.problems import Problem

#: Fields that no model of ours has as many of: who sends more means none of them.
_FIELDS = 100


class SentModel(BaseModel):
    """A JSON body, or part of one, that FastAPI reads: it has the fields named, and no others.

    Of others each is told to whoever sent it, which for many takes far more than they did.
    """

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, sent: Any) -> Any:
        if isinstance(sent, dict) and len(sent) > _FIELDS:
            raise ValueError(f"{len(sent)} fields, there are {len(cls.model_fields)}")
        return sent


def values_in(text: bytes) -> int:
    """At least as many as there are values in this JSON, without reading it."""
    return text.count(b",") + text.count(b"[") + text.count(b"{") + 1


def too_many_values() -> Problem:
    """The problem of a body, or of a frame's head, that holds more."""
    detail = f"The JSON holds more than {JSON_VALUES_LIMIT} values. Send several requests."
    return Problem("body-too-large", detail, limit=JSON_VALUES_LIMIT, headers={"Connection": "close"})


class ValuesLimit:
    """Middleware: refuses a JSON body of more values than :data:`JSON_VALUES_LIMIT`, as it comes in.

    Frames are left to whoever reads them: only their heads are JSON.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, its body counted while it is read."""
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD") and not _is_frame(scope):
            receive = _Counted(receive)
        await self._app(scope, receive, send)


class _Counted:
    """A ``receive`` that counts the values in what it lets through."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._values = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        if body := message.get("body"):
            self._values += values_in(body)
            if self._values > JSON_VALUES_LIMIT:
                raise too_many_values()
        return message


def _is_frame(scope: Scope) -> bool:
    return any(
        name == b"content-type" and value.strip() == FRAME.encode() for name, value in scope["headers"]
    )
