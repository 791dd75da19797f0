"""Planted bugs: each breaks one rule of the product's classes, in this process and for a while only."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

from funcledger_command_api.commands import Commands
from funcledger_endpoint import progress as endpoint_progress
from funcledger_endpoint.backlog import Backlog, _Queue
from funcledger_endpoint.deaths import Deaths
from funcledger_endpoint.desk import Desk
from funcledger_endpoint.outbox import Outbox
from funcledger_endpoint.patience import patiently
from funcledger_endpoint.suspects import Suspects
from funcledger_endpoint.task import Key, Task
from funcledger_event_log.log_time import LogTime
from funcledger_event_log.port import LogUnavailable, OutcomeUnknown
from funcledger_event_log.records import NewRecord, Record, Token
from funcledger_gateway.fencing import SharedFencing
from funcledger_projectors.applier import Applier
from funcledger_projectors.batch import Batch, Changed
from funcledger_query_api.copies import Copies
from funcledger_query_api.progress import Progress
from funcledger_query_api.seen import Seen
from funcledger_schemas import clock
from funcledger_schemas.events import Event
from funcledger_schemas.lifecycle import Epochs, Life, advance
from funcledger_schemas.recent_tasks import RecentTasks, Scope

_admit = Epochs.admit


async def _acknowledge_before_append(self: Commands, records: Sequence[NewRecord]) -> Token:
    """The command side answers while the append is still to come."""

    async def later() -> None:
        with contextlib.suppress(Exception):
            await self.log.append(records)

    asyncio.get_running_loop().create_task(later())
    return Token()


def _commit_before_append(self: Desk, task: Task, outcome: Event) -> None:
    """The agent's position passes a task whose outcome is not on the log yet."""
    task.closed = True
    task.submission = None
    self._progress.finished(task.offset)
    self._outbox.add(outcome)


class _Forgetful(RecentTasks):
    """The agent takes a second copy of a finished submission for a new task."""

    def has(self, scope: Scope, task_id: str) -> bool:
        return False


def _ignore_an_epoch(self: Epochs, offset: int, event: Event) -> bool:
    """What an agent that was taken over still says is believed."""
    admitted = _admit(self, offset, event)
    return admitted or type(event).__name__ != "EndpointStarted"


async def _save_the_position_first(self: Applier, batch: Batch, changed: Changed) -> None:
    """The projector moves its position, and then writes the documents."""
    if not batch.ends:
        return
    before = {where: self.positions.get(where, 0) for where in batch.ends}
    await self._store.save({}, batch.ends, before)
    await self._store.save(changed, batch.ends, batch.ends)
    self._recent.keep(changed)
    self.positions = self.positions | batch.ends


def _forget_attempts(life: Life, offset: int, event: Event) -> bool:
    """A starting agent learns outcomes from the log, and not what was begun."""
    return type(event).__name__ not in ("TaskStarted", "TaskAttemptFailed") and advance(life, offset, event)


_begun = Desk.begun


def _call_before_the_start_is_durable(self: Desk, task: Task, worker: str) -> None:
    """A task that may run once is called while its TaskStarted is on its way."""
    _begun(self, task, worker)
    asyncio.get_running_loop().call_soon(self._engine.release, task)


def _take_no_note_of_a_death(self: Suspects, deaths: Deaths, tasks_end: int) -> None:
    """What is taken over from an agent that died is begun like anything else."""


def _count_what_the_log_knows(self: Deaths, key: Key, submitted_at: int) -> bool:
    """A call that ended its agent before it could tell of it is not made up for."""
    return False


def _resume_from_the_base(self: Seen) -> str:
    """A stream's resume token leaves out what was sent live beyond its base."""
    return str(self.base)


def _overtake(self: Backlog, task: Task) -> None:
    """A small task goes before those of its owner whose arguments are still to be fetched."""
    queue = self._queues.setdefault(task.owner, _Queue(task.owner))
    if task.submission is None:
        queue.light.append(task)
        self._light += 1
    else:
        self._make_ready(queue, task)


async def _answer_before_the_fence_has_passed(
    self: SharedFencing, _events: Sequence[Event], _end: int | None
) -> None:
    """The gateway does not wait to learn whether a newer agent stands before what was appended."""


async def _drop_what_is_unknown(self: Outbox, on_durable: Callable[..., None]) -> None:
    """An append of unknown outcome is taken for done."""

    async def append() -> list[int]:
        try:
            return await self._log.append(batch)
        except OutcomeUnknown:
            return [0] * len(batch)

    while True:
        await self._wake.wait()
        batch = self._take()
        on_durable(batch, await patiently("appending outcomes", append))
        if not self._waiting:
            self._wake.clear()
            self._empty.set()


async def _do_not_wait_for_the_read_models(self: Progress, token: Token, timeout: float | None) -> bool:
    """A stream reads its state before the read models have passed its beginning."""
    await asyncio.sleep(0)
    return True


def _take_a_copy_for_new(self: Copies, record: Record) -> bool:
    """A stream believes that a task begins which an agent only tells of once more."""
    return False


async def _await_functions_only(what: str, call: Callable[[], Any]) -> Any:
    """A call tried again is awaited only if it is written as a coroutine function."""
    try:
        return await call()
    except (LogUnavailable, OutcomeUnknown):
        (never_awaited := call()).close()
        return never_awaited


def _take_silence_for_the_end(self: endpoint_progress.Progress) -> bool:
    """An agent whose feed is silent believes that it has read all its tasks, and forgets what it learnt."""
    return True


async def _ask_the_machine(self: LogTime) -> int:
    """The keeper compares deadlines with its machine's wall clock."""
    return clock.millis()


#: What each is called, and where it is planted.
BUGS: dict[str, Callable[[], Any]] = {
    "acknowledge before append": lambda: mock.patch.object(Commands, "append", _acknowledge_before_append),
    "commit before append": lambda: mock.patch.object(Desk, "_close", _commit_before_append),
    "skip the dedupe": lambda: mock.patch("funcledger_endpoint.past.RecentTasks", _Forgetful),
    "ignore an epoch": lambda: mock.patch.object(Epochs, "admit", _ignore_an_epoch),
    "save the position before the documents": lambda: mock.patch.object(
        Applier, "save", _save_the_position_first
    ),
    "forget attempts": lambda: mock.patch("funcledger_endpoint.recovery.advance", _forget_attempts),
    "call before the start is durable": lambda: mock.patch.object(
        Desk, "begun", _call_before_the_start_is_durable
    ),
    "take no note of a death": lambda: mock.patch.object(Suspects, "take_over", _take_no_note_of_a_death),
    "count what the log knows": lambda: mock.patch.object(
        Deaths, "may_have_run_unseen", _count_what_the_log_knows
    ),
    "resume a stream from its base": lambda: mock.patch.object(Seen, "__str__", _resume_from_the_base),
    "overtake": lambda: mock.patch.object(Backlog, "add", _overtake),
    "answer before the fence has passed": lambda: mock.patch.object(
        SharedFencing, "passed", _answer_before_the_fence_has_passed
    ),
    "take unknown for done": lambda: mock.patch.object(Outbox, "run", _drop_what_is_unknown),
    "take a copy for new": lambda: mock.patch.object(Copies, "possible", _take_a_copy_for_new),
    "await functions only": lambda: mock.patch(
        "funcledger_endpoint.functions.patiently", _await_functions_only
    ),
    "take silence for the end": lambda: mock.patch.object(
        endpoint_progress.Progress, "caught_up", new=property(_take_silence_for_the_end)
    ),
    "expire by the wall clock": lambda: mock.patch.object(LogTime, "now", _ask_the_machine),
    "read the state too early": lambda: mock.patch.object(
        Progress, "passed", _do_not_wait_for_the_read_models
    ),
}
