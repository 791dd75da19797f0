"""How problems and binary bodies are described in OpenAPI."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from funcledger_schemas.frames import MEDIA_TYPE as FRAME
from funcledger_web.problems import KINDS, MEDIA_TYPE, TYPE_PREFIX

Responses = dict[int | str, dict[str, Any]]


class ProblemDocument(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="What kind of problem: a stable URN.", examples=[TYPE_PREFIX + "conflict"])
    title: str = Field(description="The kind in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What was wrong, and what to do.")


def problems(*slugs: str) -> Responses:
    """The responses of a route that may tell of these problems."""
    by_status: dict[int | str, list[str]] = {}
    for slug in slugs:
        by_status.setdefault(KINDS[slug][0], []).append(slug)
    return {
        status: {
            "description": "; ".join(f"`{slug}`: {KINDS[slug][1]}" for slug in found),
            "content": {MEDIA_TYPE: {"schema": ProblemDocument.model_json_schema()}},
        }
        for status, found in by_status.items()
    }


#: What any route may answer.
COMMON_PROBLEMS = problems(
    "malformed-request",
    "unauthenticated",
    "forbidden",
    "slow-request",
    "body-too-large",
    "uri-too-long",
    "unsupported-media-type",
    "unknown-host",
    "invalid-request",
    "too-many-requests",
    "header-too-large",
    "internal",
    "busy",
    "too-many-connections",
)


def frame_body(
    description: str, head: type[BaseModel], also: type[BaseModel] | None = None
) -> dict[str, Any]:
    """For ``openapi_extra``: a binary frame as the request's body, and JSON where there is a model for it."""
    text = f"{description}\n\nA frame: 4 bytes big-endian length, a JSON head, then the payloads."
    schema = {"type": "string", "format": "binary", "description": text, "x-head": _schema(head)}
    content: dict[str, Any] = {FRAME: {"schema": schema}}
    if also is not None:
        content["application/json"] = {"schema": _schema(also)}
    return {"requestBody": {"required": True, "content": content}}


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    """The model's JSON schema with its parts in place: a reference would look for them elsewhere."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})
    inlined: dict[str, Any] = _inline(schema, parts)
    return inlined


def _inline(schema: Any, parts: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inline(item, parts) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inline(parts[schema["$ref"].rpartition("/")[2]], parts)
    return {key: _inline(value, parts) for key, value in schema.items()}
