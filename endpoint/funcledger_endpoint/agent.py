"""The agent: takes its endpoint over, serves it until told to stop, and leaves it in good order."""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any

from funcledger_endpoint.backlog import Backlog
from funcledger_endpoint.clock import LogClock
from funcledger_endpoint.desk import Desk
from funcledger_endpoint.engine import Engine
from funcledger_endpoint.facts import Facts
from funcledger_endpoint.feed import Feed
from funcledger_endpoint.functions import Functions
from funcledger_endpoint.heartbeat import Heartbeat
from funcledger_endpoint.loader import Loader
from funcledger_endpoint.machine import Machine, describe
from funcledger_endpoint.outbox import Outbox
from funcledger_endpoint.patience import patiently
from funcledger_endpoint.progress import Commit, Progress
from funcledger_endpoint.recovery import Recovery
from funcledger_endpoint.settings import AgentSettings
from funcledger_endpoint.suspects import Suspects
from funcledger_event_log.endpoint_port import EndpointLog, Identity
from funcledger_event_log.port import LogError
from funcledger_event_log.records import Record
from funcledger_schemas import clock
from funcledger_schemas.events import EndpointStarted, EndpointStopped
from funcledger_schemas.ids import new_id

_log = logging.getLogger(__name__)

#: What a process exits with after :class:`Fenced`. A service unit must not restart it then: a newer agent
#: has taken the endpoint over (``RestartPreventExitStatus=75``).
FENCED_EXIT_CODE = 75

#: Seconds without a record after which a feed that should bring more is believed to have no more of ours.
_QUIET_FIRST, _QUIET = 1.0, 0.25
#: Seconds that the last events may take to reach the log when the agent stops.
_LAST_WORDS = 10.0
#: Seconds between looks for tasks that have waited past their deadline.
_SWEEP = 0.5


class Agent:
    """One agent of one endpoint. :meth:`run` serves until :meth:`stop`, or until it is fenced off."""

    def __init__(self, log: EndpointLog, engine: Engine, settings: AgentSettings | None = None) -> None:
        self._log, self._engine = log, engine
        self._settings = settings or AgentSettings()
        self.instance_id = new_id()
        self._clock = LogClock()
        self._backlog = Backlog(self._settings.read_ahead, self._settings.read_ahead_bytes)
        self._outbox = Outbox(log)
        self._functions = Functions(log)
        self._suspects = Suspects(Backlog())
        self._desk = Desk(
            engine, self._outbox, self._functions, self._backlog, self._suspects, self._clock,
            self._after_dispatch,
        )  # fmt: skip
        self._loaders = [
            Loader(log, backlog, self._desk.dispatch, self._desk.gone)
            for backlog in (self._backlog, self._suspects.backlog)
        ]
        self._feed: Feed | None = None
        self._read = asyncio.Event()
        self._stop = asyncio.Event()
        self._committed: Commit | None = None
        self._progress: Progress
        self._facts: Facts

    def stop(self) -> None:
        """Start no more tasks, let running ones finish for a while, then end :meth:`run`."""
        self._stop.set()

    async def run(self) -> None:
        """Serve the endpoint.

        Raises:
            Fenced: a newer agent has taken over; the process should exit with ``FENCED_EXIT_CODE``.
            CredentialRefused: the credential opens nothing.
        """
        self._engine.start(self._desk)
        stopped = asyncio.ensure_future(self._stop.wait())
        begun = asyncio.ensure_future(self._begin())
        try:
            await _first_of(stopped, begun)
            if begun.done():
                await self._serve(begun.result())
        finally:
            await _ended(stopped, begun)
            await self._engine.stop()

    async def _begin(self) -> int:
        """Take the endpoint over; returns the end of tasks at that moment."""
        identity = await patiently("asking who this endpoint is", self._log.identify)
        machine = await asyncio.to_thread(describe)
        recovery = Recovery(self._log, identity.endpoint_id, self._clock)
        await recovery.take_over(lambda supersedes: self._started(identity, machine, supersedes))
        # Asked for only now: what comes later can have been begun by nobody else (its events would be void).
        tasks_end, _ = await patiently("asking for the end of tasks", self._log.ends)
        self._facts = Facts(identity.endpoint_id, recovery.epoch, identity.name)
        self._progress = Progress(recovery.tasks, tasks_end, recovery.mark, recovery.epochs, recovery.end)
        self._suspects.take_over(recovery.deaths, tasks_end)
        self._desk.take_up(self._facts, self._progress, recovery.lives, tasks_end)
        self._feed = Feed(self._log, recovery.tasks, self._take)
        _log.info(
            "endpoint %s (%s) is served from task %d on, in epoch %d",
            identity.name, identity.endpoint_id, recovery.tasks, recovery.epoch,
        )  # fmt: skip
        return tasks_end

    def _started(self, identity: Identity, machine: Machine, supersedes: int) -> EndpointStarted:
        return EndpointStarted(
            event_id=new_id(),
            occurred_at=clock.micros(),
            actor=f"endpoint:{identity.endpoint_id}",
            endpoint_id=identity.endpoint_id,
            instance_id=self.instance_id,
            supersedes=supersedes,
            engine=self._engine.name,
            workers=self._engine.workers,
            **machine._asdict(),
        )

    async def _serve(self, tasks_end: int) -> None:
        assert self._feed is not None
        heartbeat = Heartbeat(self._log, self._facts, self.instance_id, lambda: self._desk.load)
        parts: list[Coroutine[Any, Any, None]] = [
            self._until_stopped(tasks_end),
            self._outbox.run(self._desk.durable),
            self._functions.run(),
            *(loader.run() for loader in self._loaders),
            self._feed.run(),
            heartbeat.run(self._settings.heartbeat),
            self._commit_often(),
            self._sweep(),
        ]
        running = [asyncio.ensure_future(part) for part in parts]
        try:
            await _first_of(*running)
        finally:
            await _ended(*running)

    async def _until_stopped(self, tasks_end: int) -> None:
        await self._catch_up(tasks_end)
        self._desk.go()
        await self._stop.wait()
        await self._leave()

    async def _catch_up(self, end: int) -> None:
        """Wait until the feed has passed ``end``, so that every cancel is known before a task is started.

        In a partition shared with other endpoints the last record may not be ours: then silence has to do.
        """
        assert self._feed is not None
        patience = _QUIET_FIRST
        while self._feed.next < end and not self._stop.is_set():
            try:
                await asyncio.wait_for(self._read.wait(), patience)
            except TimeoutError:
                return
            self._read.clear()
            patience = _QUIET

    def _take(self, records: list[Record]) -> None:
        self._read.set()
        self._desk.take(records)

    def _after_dispatch(self) -> None:
        for loader in self._loaders:
            loader.nudge()
        if self._feed is not None:
            held, size = self._backlog.held
            self._feed.grant(self._settings.read_ahead - held, self._settings.read_ahead_bytes - size)

    async def _leave(self) -> None:
        """Let running tasks finish, then say what became of the others and where the next agent begins."""
        _log.info("told to stop; running tasks have %g s to finish", self._settings.drain)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._desk.halt(), self._settings.drain)
        await self._engine.stop()
        self._outbox.add(
            EndpointStopped(
                event_id=new_id(),
                occurred_at=clock.micros(),
                actor=self._facts.actor,
                endpoint_id=self._facts.endpoint_id,
                instance_id=self.instance_id,
                reason="told to stop",
                epoch=self._facts.epoch,
            )
        )
        try:
            async with asyncio.timeout(_LAST_WORDS):
                await self._outbox.drained()
                await self._commit()
        except (TimeoutError, LogError) as error:
            _log.warning("stopped without telling the log: %r", error)

    async def _commit_often(self) -> None:
        while True:
            await clock.sleep(self._settings.commit)
            await patiently("committing the position", self._commit)

    async def _commit(self) -> None:
        commit = self._progress.commit()
        if commit != self._committed:
            await self._log.commit(commit.offset, commit.metadata)
            self._committed = commit

    async def _sweep(self) -> None:
        while True:
            await clock.sleep(_SWEEP)
            self._desk.sweep()


async def _first_of(*futures: "asyncio.Future[Any]") -> None:
    """Return when one is done; raise what it raised."""
    done, _ = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    for future in done:
        future.result()


async def _ended(*futures: "asyncio.Future[Any]") -> None:
    """Cancel what still runs, and wait for it."""
    for future in futures:
        future.cancel()
    await asyncio.gather(*futures, return_exceptions=True)
