"""Reads a request's body: a binary frame or JSON, by its Content-Type."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from funcledger_schemas import frames
from funcledger_schemas.frames import FrameError
from funcledger_schemas.limits import JSON_VALUES_LIMIT, PAYLOAD_LIMIT
from funcledger_web.handlers import invalid, invalid_field
from funcledger_web.json_values import too_many_values, values_in
from funcledger_web.problems import Problem

M = TypeVar("M", bound=BaseModel)
_JSON = "application/json"
#: Of more errors than these none is spelled out, which would take far more than was sent.
_TOLD = 1000


def is_frame(request: Request) -> bool:
    """Whether the body is a frame; otherwise it is JSON.

    Raises:
        Problem: it says it is neither.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in (frames.MEDIA_TYPE, _JSON):
        detail = f"Send {frames.MEDIA_TYPE} or {_JSON}, and say which in Content-Type."
        raise Problem("unsupported-media-type", detail)
    return media_type == frames.MEDIA_TYPE


def parse(model: type[M], text: bytes) -> M:
    """JSON as this model.

    Raises:
        Problem: 422, naming each field that is wrong.
    """
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        if error.error_count() > _TOLD:
            raise invalid_field("body", f"{error.error_count()} things are wrong with it") from None
        raise invalid(error.errors(include_url=False, include_context=False, include_input=False)) from None


def parse_head(model: type[M], frame: bytes) -> tuple[M, int]:
    """A frame's head as this model, and where the payloads begin.

    Raises:
        Problem: 422, naming what is wrong; 413, the head holds more than any needs.
    """
    try:
        head, start = frames.unpack_head(frame)
    except FrameError as error:
        raise invalid_field("frame", str(error)) from None
    if values_in(head) > JSON_VALUES_LIMIT:
        raise too_many_values()
    return parse(model, head), start


def cut(frame: bytes, start: int, sizes: list[int]) -> list[bytes]:
    """The payloads.

    Raises:
        Problem: 422, the sizes do not add up.
    """
    try:
        return frames.cut(frame, start, sizes)
    except FrameError as error:
        raise invalid_field("sizes", str(error)) from None


def payload_too_large(what: str, size: int) -> Problem:
    """The problem of a payload over the limit; ``what`` names it."""
    detail = (
        f"{what} are {size} bytes serialised, the limit is {PAYLOAD_LIMIT}. Pass large data by reference."
    )
    return Problem("payload-too-large", detail, size=size, limit=PAYLOAD_LIMIT)
