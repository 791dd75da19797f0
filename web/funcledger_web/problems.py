"""Problem documents (RFC 9457): every error a client sees, with what was wrong and what to do."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:funcledger:problem:"

#: Every slug with its usual status and its title.
KINDS: dict[str, tuple[int, str]] = {
    "malformed-request": (400, "This is not a request of HTTP"),
    "unauthenticated": (401, "A valid token is needed"),
    "forbidden": (403, "This token may not do that"),
    "not-found": (404, "There is nothing here"),
    "task-not-found": (404, "No such task"),
    "function-not-found": (404, "No such function"),
    "endpoint-not-found": (404, "No such endpoint"),
    "schema-not-found": (404, "No such schema"),
    "batch-not-found": (404, "No such batch"),
    "method-not-allowed": (405, "This address does not answer that method"),
    "slow-request": (408, "The request came too slowly"),
    "conflict": (409, "This contradicts what is already recorded"),
    "fenced": (409, "A newer agent has taken over this endpoint"),
    "stream-ended": (410, "This stream is not open here"),
    "payload-too-large": (413, "A payload is over the limit"),
    "body-too-large": (413, "The request is over the limit"),
    "uri-too-long": (414, "The address is over the limit"),
    "unsupported-media-type": (415, "This form of body is not understood"),
    "unknown-host": (421, "This server does not answer to that name"),
    "invalid-request": (422, "The request is not valid"),
    "too-many-requests": (429, "Too many requests"),
    "backlog-full": (429, "The endpoint has as much to do as it may"),
    "header-too-large": (431, "The request's head is over the limit"),
    "internal": (500, "Something went wrong in the server"),
    "log-damaged": (500, "Part of the log is damaged"),
    "not-ready": (503, "The server is not ready"),
    "busy": (503, "The server has as much in hand as it may"),
    "too-many-connections": (503, "The server has as many connections as it may"),
    "behind": (503, "The server has not caught up yet"),
    "read-models-unavailable": (503, "The read models cannot be read"),
    "log-unavailable": (503, "The log cannot be reached"),
    "outcome-unknown": (503, "Whether the request took effect is not known"),
    "log-full": (507, "The log has no space left"),
}
#: Statuses that ask the client to come back, with the seconds it should wait unless told otherwise.
_RETRY_AFTER = {429: 1, 503: 1}


class Problem(HTTPException):
    """An error to be told to the client: raise it anywhere behind a route.

    ``slug`` is one of :data:`KINDS`; ``detail`` says what was wrong and what to do, and never anything
    of the server's insides; ``fields`` are further members of the document.
    """

    def __init__(
        self,
        slug: str,
        detail: str,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        retry_after: int | None = None,
        **fields: Any,
    ) -> None:
        usual, self.title = KINDS[slug]
        super().__init__(status or usual, detail, dict(headers or {}))
        self.slug, self.fields = slug, fields
        wait = retry_after or _RETRY_AFTER.get(self.status_code)
        if wait is not None:
            self.response_headers["Retry-After"] = str(wait)

    @property
    def response_headers(self) -> dict[str, str]:
        """The headers of the answer, to be added to."""
        assert isinstance(self.headers, dict)
        return self.headers

    def document(self) -> dict[str, Any]:
        """The problem as JSON values."""
        return {
            "type": TYPE_PREFIX + self.slug,
            "title": self.title,
            "status": self.status_code,
            "detail": self.detail,
            **self.fields,
        }

    def response(self) -> Response:
        """The answer that tells it."""
        body = json.dumps(self.document()).encode()
        return Response(body, self.status_code, self.response_headers, media_type=MEDIA_TYPE)

    async def send(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with it from a middleware, where no handler stands behind."""
        await self.response()(scope, receive, send)
