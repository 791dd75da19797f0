"""From the server's problem documents (RFC 9457) to errors."""

import json
from http import HTTPStatus
from typing import Any

from funcledger import errors
from funcledger_schemas.limits import BODY_LIMIT

_PREFIX = "urn:funcledger:problem:"
_BY_SLUG: dict[str, type[errors.RequestError]] = {
    "unauthenticated": errors.Unauthenticated,
    "forbidden": errors.PermissionDenied,
    "task-not-found": errors.TaskNotFound,
    "batch-not-found": errors.BatchNotFound,
    "function-not-found": errors.FunctionNotFound,
    "endpoint-not-found": errors.EndpointNotFound,
    "not-found": errors.NotFound,
    "invalid-request": errors.InvalidRequest,
    "conflict": errors.Conflict,
    "too-many-requests": errors.TooManyRequests,
    "backlog-full": errors.BacklogFull,
    "log-damaged": errors.RequestError,
}
_BY_STATUS: dict[int, type[errors.RequestError]] = {
    401: errors.Unauthenticated,
    403: errors.PermissionDenied,
    404: errors.NotFound,
    409: errors.Conflict,
    422: errors.InvalidRequest,
    429: errors.TooManyRequests,
}


def error_of(status: int, body: bytes, token_from: str = "") -> errors.ComputeError:
    """The error to raise for an answer that is not 2xx, with the server's own sentence.

    ``token_from`` is where the token that was sent was found.
    """
    problem = _document(body)
    slug = str(problem.get("type", "")).removeprefix(_PREFIX)
    sentence = str(problem.get("detail") or problem.get("title") or _foreign(status))
    if slug == "payload-too-large":
        return errors.PayloadTooLarge(sentence)
    if status == HTTPStatus.UNAUTHORIZED and token_from:
        sentence = f"{sentence} The one that was sent is from {token_from}."
    unavailable = errors.ServiceUnavailable if status >= 500 else errors.RequestError
    error = (_BY_SLUG.get(slug) or _BY_STATUS.get(status) or unavailable)(sentence)
    error.slug, error.problem = slug or None, problem or None
    return error


def _foreign(status: int) -> str:
    """What to say of an answer that is not in a server's words."""
    said = (
        f"The answer {status} is no funcledger server's: a proxy before it has sent it, or another program."
    )
    if status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return said
    size = BODY_LIMIT // 1024**2
    return f"{said} A proxy must let bodies of {size} MiB pass (nginx: client_max_body_size {size}m)."


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
