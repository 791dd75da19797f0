"""What every command does: wait until it knows what its client has seen, then append, and say how it went."""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Literal

from fastapi import Header
from starlette.requests import Request

from funcledger_command_api.answers import POSITION
from funcledger_event_log.follower import Tail
from funcledger_event_log.port import EventLog, LogFull, LogUnavailable, OutcomeUnknown, RecordTooLarge
from funcledger_event_log.records import NewRecord, Token
from funcledger_schemas.envelope import Headers
from funcledger_schemas.limits import RECORD_LIMIT
from funcledger_web import catalogue
from funcledger_web.auth import Principal
from funcledger_web.catalogue import Catalogue
from funcledger_web.handlers import invalid_field
from funcledger_web.problems import Problem

#: For routes: what the client has seen.
Seen = Annotated[str | None, Header(alias=POSITION, description="Position token the client has seen.")]
#: Seconds a command waits for the catalogue to pass what its client has seen.
PATIENCE = 2.0
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Commands:
    """The log to append to, and the catalogue to decide from, which ``tail`` keeps up to date."""

    def __init__(
        self, log: EventLog, catalogue: Catalogue, tail: Tail, users: Collection[Principal] | None = None
    ) -> None:
        """``users`` are all that there are; None where that is not known."""
        self._names = {
            "user": None if users is None else {user.id for user in users},
            "group": None if users is None else {group for user in users for group in user.groups},
        }
        self.log = log
        self.catalogue = catalogue
        self._tail = tail

    async def catch_up(self, seen: str | None) -> None:
        """Law 9: return once the catalogue has passed the token the client has sent.

        Raises:
            Problem: not a token (422), or the catalogue is still behind it (503).
        """
        if not seen:
            return
        try:
            token = Token.parse(seen)
        except ValueError:
            raise invalid_field(POSITION, "not a position token of this server; leave it out") from None
        await self._pass(token)

    async def refresh(self) -> None:
        """Bring the catalogue up to the log's present end: before saying that something is not there.

        Raises:
            Problem: the log cannot be asked, or the catalogue is behind.
        """
        with _telling():
            if not await self._tail.catch_up(PATIENCE):
                raise _behind(self._tail.position, Token())

    def check_exists(self, kind: Literal["user", "group"], name: str, field: str) -> None:
        """That something may be shared with this user or group.

        Raises:
            Problem: 422, there is nobody of that name.
        """
        names = self._names[kind]
        if names is not None and name not in names:
            told = f"there is no {kind} {name!r} on this server, so nothing was shared"
            raise invalid_field(field, f"{told}: ask its operator for the right name")

    async def append(self, records: Sequence[NewRecord]) -> Token:
        """Append; the token of somebody who has seen these records. Durable when it returns (law 1).

        Raises:
            Problem: the log is full, not reachable, cannot say, or a record is over its limit.
        """
        with _telling():
            return Token.after(await self.log.append(records))

    async def append_and_see(self, record: NewRecord) -> Token:
        """Append one record of the catalogue's topics and return once the catalogue has taken it in."""
        token = await self.append([record])
        await self._pass(token)
        return token

    async def partitions(self) -> int:
        """How many partitions there are for endpoints' tasks.

        Raises:
            Problem: the log cannot be asked.
        """
        with _telling():
            return await self.log.partitions("tasks")

    async def _pass(self, token: Token) -> None:
        with _telling():
            if not await self._tail.wait_past(token, PATIENCE):
                raise _behind(self._tail.position, token)


def traceparent(request: Request) -> Headers:
    """The record headers that carry the request's W3C trace context on, if it has one."""
    text = request.headers.get("traceparent", "")
    return (("traceparent", text.encode()),) if _TRACEPARENT.fullmatch(text) else ()


def _behind(position: Token, wanted: Token) -> Problem:
    """The answer when the catalogue lags; ``lag`` counts the records it has not taken in."""
    lag = sum(
        max(0, end - position.ends.get(where, 0))
        for where, end in wanted.ends.items()
        if where.topic in catalogue.TOPICS
    )
    detail = f"This server has not read what you have seen within {PATIENCE:g} s. Send the request again."
    return Problem("behind", detail, lag=lag)


@contextmanager
def _telling() -> Iterator[None]:
    """What the log says in here is told to the client as a problem."""
    try:
        yield
    except (RecordTooLarge, LogUnavailable, OutcomeUnknown) as error:
        raise _told(error) from error


def _told(error: Exception) -> Problem:
    if isinstance(error, RecordTooLarge):
        detail = f"One of its records is over {RECORD_LIMIT} bytes. Nothing was written."
        return Problem("payload-too-large", detail)
    if isinstance(error, LogFull):
        detail = (
            "The server's disk is full: nothing was written. Its operator must make space; then try again."
        )
        return Problem("log-full", detail)
    if isinstance(error, OutcomeUnknown):
        detail = "Send the same request with the same ids again: what was written already stays as it is."
        return Problem("outcome-unknown", detail, retry_after=1)
    return Problem("log-unavailable", "Nothing was written. Send the same request again.", retry_after=1)
