"""From the server's problem documents (RFC 9457) to errors."""

import json
from typing import Any

from funcledger import errors

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


def error_of(status: int, body: bytes) -> errors.ComputeError:
    """The error to raise for an answer that is not 2xx, with the server's own sentence."""
    problem = _document(body)
    slug = str(problem.get("type", "")).removeprefix(_PREFIX)
    sentence = str(problem.get("detail") or problem.get("title") or f"The server answered {status}.")
    if slug == "payload-too-large":
        return errors.PayloadTooLarge(sentence)
    unavailable = errors.ServiceUnavailable if status >= 500 else errors.RequestError
    error = (_BY_SLUG.get(slug) or _BY_STATUS.get(status) or unavailable)(sentence)
    error.slug, error.problem = slug or None, problem or None
    return error


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
