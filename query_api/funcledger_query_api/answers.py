"""Answers as JSON with their position, and how OpenAPI describes them."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from funcledger_event_log.records import Token

#: Header of the position token (law 9), in requests and in answers.
POSITION = "Funcledger-Position"

_encode = msgspec.json.Encoder().encode


def answer(body: Any, token: Token, more: Mapping[str, Any] | None = None) -> Response:
    """The body as JSON, with ``more`` fields; the token says what its reader has seen."""
    whole = {**msgspec.to_builtins(body), **more} if more else body
    return Response(_encode(whole), headers={POSITION: str(token)}, media_type="application/json")


def described(answer_type: Any, description: str) -> dict[int | str, dict[str, Any]]:
    """For ``responses``: the JSON answer of a route."""
    (schema,), parts = msgspec.json.schema_components([answer_type], ref_template="{name}")
    content = {"application/json": {"schema": _inlined(schema, parts)}}
    return {200: {"description": description, "content": content}}


def binary(media_type: str, description: str) -> dict[int | str, dict[str, Any]]:
    """For ``responses``: the binary answer of a route."""
    schema = {"type": "string", "format": "binary"}
    return {200: {"description": description, "content": {media_type: {"schema": schema}}}}


def _inlined(schema: Any, parts: dict[str, Any]) -> Any:
    """The schema without references."""
    if isinstance(schema, list):
        return [_inlined(each, parts) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if (name := schema.get("$ref")) is not None:
        return _inlined(parts[name], parts)
    return {key: _inlined(value, parts) for key, value in schema.items()}
