"""Submits a request's tasks: checks them all, then appends them all, once however often it is sent."""

import asyncio
from collections.abc import Iterable, Sequence

from funcledger_command_api import submission
from funcledger_command_api.backlog import Asked, Backlog
from funcledger_command_api.commands import Commands
from funcledger_command_api.models import TASKS_LIMIT, Terms
from funcledger_command_api.ownership import endpoint_not_found, function_not_found
from funcledger_command_api.recent import Clash, Key, Known, Recent
from funcledger_command_api.submission import Batch, Lot
from funcledger_event_log.records import NewRecord, Token
from funcledger_schemas import clock, tracing
from funcledger_schemas.limits import BODY_LIMIT
from funcledger_web.auth import Principal
from funcledger_web.catalogue import Endpoint, Function
from funcledger_web.handlers import invalid_field
from funcledger_web.problems import Problem

#: Hashing this many bytes takes longer than handing them to a thread.
_HASH_HERE = 512 * 1024
#: Records made before others get their turn on the event loop (about 5 ms).
_TURN = 256
#: Tasks, and the function and endpoint they are for.
Aimed = tuple[Lot, tuple[Function, Endpoint]]


class Submitter:
    """Turns checked lots into records of the log."""

    def __init__(self, commands: Commands, backlog: Backlog, recent: Recent | None = None) -> None:
        self._commands = commands
        self._backlog = backlog
        self._recent = recent or Recent()

    async def submit(self, batch: Batch, lots: Sequence[Lot]) -> Token:
        """Append every task, or none; the token of somebody who has seen them.

        Raises:
            Problem: 404 for a function or endpoint the user may not use; 413 for arguments too large;
                422 for a task id used twice or used before for something else; 429 for an endpoint that
                has as much to do as it may; what the log says.
        """
        _check_bounds(lots)
        aimed = [(lot, await self._target(batch.who, lot.terms)) for lot in lots]
        await _digest(batch, lots)
        keys, digests = _columns(batch, aimed)
        if len(set(keys)) != len(keys):
            raise invalid_field("task_ids", "a task id is there twice")
        # From here to Recent.take in _append nothing is awaited, so of two at once the second sees the first.
        try:
            known = self._recent.known(keys, digests)
        except Clash as clash:
            raise _conflict(clash.key[2]) from None
        if known:
            return await self._append_rest(batch, aimed, known, len(keys))
        return await self._append(batch, aimed)

    async def _target(self, who: Principal, terms: Terms) -> tuple[Function, Endpoint]:
        """The function and the endpoint of a task.

        Raises:
            Problem: 404, naming the one that is not there or not open to this user.
        """
        function = self._commands.catalogue.function_open_to(who, terms.function_id)
        endpoint = self._commands.catalogue.endpoint_open_to(who, terms.endpoint_id)
        if function is None or endpoint is None:
            await self._commands.refresh()
            function = self._commands.catalogue.function_open_to(who, terms.function_id)
            endpoint = self._commands.catalogue.endpoint_open_to(who, terms.endpoint_id)
        if function is None:
            raise function_not_found(terms.function_id)
        if endpoint is None:
            raise endpoint_not_found(terms.endpoint_id)
        return function, endpoint

    async def _append_rest(
        self, batch: Batch, aimed: Sequence[Aimed], known: dict[Key, Known], count: int
    ) -> Token:
        """Append what was not taken before, and wait for the answers to what was."""
        token = Token()
        if len(known) < count:
            rest = [(_without(lot, batch.who, known), target) for lot, target in aimed]
            token = await self._append(batch, rest)
        for answer in {each.answer for each in known.values()}:
            token = token.merge(await asyncio.shield(answer))
        return token

    async def _append(self, batch: Batch, aimed: Sequence[Aimed]) -> Token:
        """Append all; meanwhile, and afterwards, the same tasks sent again wait for this answer."""
        asked = _asked(aimed)
        self._backlog.take(asked)
        answer: asyncio.Future[Token] = asyncio.get_running_loop().create_future()
        keys, digests = _columns(batch, aimed)
        self._recent.take(keys, digests, answer)
        try:
            made = await _gather(
                record for lot, target in aimed for record in submission.records(lot, batch, *target)
            )
            token = await self._commands.append(made)
        except BaseException as error:
            self._backlog.give_back(asked)
            self._recent.forget(keys, answer)
            answer.set_exception(error if isinstance(error, Problem) else _interrupted())
            answer.exception()  # nobody may be waiting for it, and that is no fault
            raise
        self._backlog.landed(asked, token)
        answer.set_result(token)
        if (spans := tracing.spans) is not None:
            _trace(spans, batch, aimed)
        return token


def _trace(spans: tracing.Spans, batch: Batch, aimed: Sequence[Aimed]) -> None:
    """Each task's root span: from the request to its being on the log."""
    end = clock.current().time_ns()
    for lot, (_function, endpoint) in aimed:
        about = {"endpoint_id": endpoint.endpoint_id, "owner": batch.who.id, "batch_id": batch.batch_id}
        for task_id in lot.task_ids:
            spans.root(task_id, batch.occurred_at * 1000, end, **about)


def _asked(aimed: Sequence[Aimed]) -> dict[str, Asked]:
    """How much there is for each endpoint."""
    asked: dict[str, Asked] = {}
    for lot, (_function, endpoint) in aimed:
        tasks, size = asked.get(endpoint.endpoint_id, (0, 0))
        asked[endpoint.endpoint_id] = Asked(tasks + len(lot.task_ids), size + lot.size())
    return asked


def _columns(batch: Batch, aimed: Sequence[Aimed]) -> tuple[list[Key], list[str]]:
    """The keys and the digests of all tasks."""
    keys = [key for lot, _target in aimed for key in lot.keys(batch.who)]
    return keys, [digest for lot, _target in aimed for digest in lot.digests]


def _check_bounds(lots: Sequence[Lot]) -> None:
    """So many tasks, and no more written out in full than a body may hold (settings are repeated per task).

    Raises:
        Problem: too many (422), too much (413).
    """
    count = sum(len(lot.task_ids) for lot in lots)
    if count > TASKS_LIMIT:
        raise invalid_field("task_ids", f"{count} in one request, the limit is {TASKS_LIMIT}: send several")
    settings = sum(len(lot.task_ids) * lot.settings_size() for lot in lots)
    if settings > BODY_LIMIT:
        detail = (
            f"The tasks' settings add up to {settings} bytes, the limit is {BODY_LIMIT}. Send fewer at once."
        )
        raise Problem("body-too-large", detail)
    for lot in lots:
        lot.check_sizes()


async def _digest(batch: Batch, lots: Sequence[Lot]) -> None:
    for lot in lots:
        if lot.size() > _HASH_HERE:
            await asyncio.to_thread(lot.digest, batch)
        else:
            lot.digest(batch)


async def _gather(records: Iterable[NewRecord]) -> list[NewRecord]:
    """All records, with turns for others in between."""
    made: list[NewRecord] = []
    for record in records:
        made.append(record)
        if len(made) % _TURN == 0:
            await clock.sleep(0)
    return made


def _without(lot: Lot, who: Principal, known: dict[Key, Known]) -> Lot:
    """The lot without the tasks that were taken before."""
    keep = [place for place, key in enumerate(lot.keys(who)) if key not in known]
    return Lot(
        lot.terms,
        [lot.task_ids[place] for place in keep],
        [lot.indexes[place] for place in keep],
        [lot.payloads[place] for place in keep],
        [lot.hashes[place] for place in keep],
        [lot.digests[place] for place in keep],
    )


def _conflict(task_id: str) -> Problem:
    detail = f"Task {task_id} was submitted before with other contents. Use a new task id."
    return Problem("conflict", detail, status=422, task_id=task_id)


def _interrupted() -> Problem:
    return Problem("outcome-unknown", "The request was interrupted. Send it again with the same ids.")
