"""What an answer of the gateway means to an agent, as the errors of the port."""

import json
from typing import Any

import httpx2

from funcledger_event_log.endpoint_port import CredentialRefused, Fenced
from funcledger_event_log.port import (
    LogCorrupt,
    LogError,
    LogFull,
    LogUnavailable,
    OutcomeUnknown,
    PositionGone,
    RecordTooLarge,
)

_PROBLEM = "urn:funcledger:problem:"
#: What the gateway itself said: nothing was written, or the request will never be taken.
_BY_SLUG: dict[str, type[Exception]] = {
    "unauthenticated": CredentialRefused,
    "forbidden": CredentialRefused,
    "fenced": Fenced,
    "log-unavailable": LogUnavailable,
    "log-full": LogFull,
    "log-damaged": LogCorrupt,
    "outcome-unknown": OutcomeUnknown,
    "too-many-requests": LogUnavailable,
    "slow-request": LogUnavailable,
    "busy": LogUnavailable,
    "too-many-connections": LogUnavailable,
    "payload-too-large": RecordTooLarge,
    "body-too-large": RecordTooLarge,
    "function-not-found": LookupError,
    "schema-not-found": LookupError,
    "conflict": PositionGone,
    "invalid-request": LogError,
}
#: No byte of the request reached the gateway.
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)


def of_answer(status: int, body: bytes) -> Exception:
    """The error that an answer outside 2xx stands for.

    Only the gateway's own words count: a proxy's 403 or 404 says nothing of the credential or the log.
    """
    problem = _problem(body)
    slug = str(problem.get("type", "")).removeprefix(_PROBLEM)
    kind = _BY_SLUG.get(slug, OutcomeUnknown)
    return kind(str(problem.get("detail") or f"the gateway, or something before it, answered {status}"))


def of_failure(error: httpx2.TransportError) -> LogError:
    """The error that a failed exchange stands for: only one never begun is known to have done nothing."""
    kind = LogUnavailable if isinstance(error, _NOT_SENT) else OutcomeUnknown
    return kind(f"the gateway cannot be reached: {error!r}")


def harmless(error: Exception) -> Exception:
    """The same for a request that changes nothing: an unknown outcome is none."""
    return LogUnavailable(str(error)) if isinstance(error, OutcomeUnknown) else error


def _problem(body: bytes) -> dict[str, Any]:
    try:
        problem = json.loads(body)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}
