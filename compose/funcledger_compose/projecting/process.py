"""The server's side of its projector's process: started, told what is new, heard, and started again."""

import asyncio
import contextlib
import logging
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable

from funcledger_compose.projecting.child import GATHER, STOPPED
from funcledger_compose.projecting.messages import (
    Append,
    Appended,
    Begun,
    Hurry,
    Message,
    Moved,
    Saved,
    Stopped,
    heard,
    say,
)
from funcledger_compose.settings import Settings
from funcledger_event_log.port import EventLog, LogError, OutcomeUnknown
from funcledger_event_log.records import NewRecord, TopicPartition
from funcledger_event_log.sqlite import SqliteLog
from funcledger_projectors.inbox import MANY
from funcledger_projectors.runner import TOPICS, records_behind
from funcledger_read_models.sqlite import SqliteStore

_log = logging.getLogger(__name__)

#: Seconds between starts of a process that keeps ending: they double so many times, up to the last.
_FIRST_PAUSE, _DOUBLINGS, _LONGEST_PAUSE = 0.05, 7, 5.0
#: After so many ends without a save between them it is said to have failed, until one saves or lives.
_HOPELESS = 3
#: Seconds after its beginning in which a process that has something to save most likely does.
_ALIVE = 5.0
#: Seconds between two messages of what is new, while nobody waits for the read models: where it is little,
#: and where it is much, which the other side lets gather for longer in any case.
_BREATH, _PAUSE = 0.1, GATHER / 3
#: Seconds it may take to finish what it is saving.
_PATIENCE = 10.0


class ProjectorStopped(Exception):
    """Why the projector's process applies nothing."""


class ProjectorProcess:
    """A projector in a process of its own, where folding takes the interpreter from nobody.

    It follows ``log`` and saves into ``store``. ``through`` is where its appends go, ``observe`` is told of
    each save: documents and seconds.
    """

    def __init__(
        self,
        log: SqliteLog,
        store: SqliteStore,
        settings: Settings,
        through: EventLog,
        observe: Callable[[int, float], None],
    ) -> None:
        self._log, self._store, self._settings = log, store, settings
        self._through, self._observe = through, observe
        self._keeping: asyncio.Task[None] | None = None
        self._process: Process | None = None
        self._hurried = asyncio.Event()
        self._stopping = False
        #: How often it has ended since it last saved anything.
        self._ends = 0
        self._begun = asyncio.Event()
        #: Why nothing is applied, for good or because the process keeps ending; None while all is well.
        self.failed: Exception | None = None

    async def start(self) -> None:
        """Start it; does not wait for anything to be applied."""
        self._keeping = asyncio.create_task(self._keep(), name="projector's process")

    async def begun(self) -> None:
        """Return once it has begun to follow, or failed."""
        await self._begun.wait()

    def hurry(self, wanted: bool) -> None:
        """Whether somebody waits for what is applied."""
        (self._hurried.set if wanted else self._hurried.clear)()
        self._say(Hurry(wanted))

    async def stop(self) -> None:
        """Let it finish what it is saving, and end it."""
        if self._keeping is None:
            return
        self._stopping = True
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)
        process = self._process
        if process is None or process.returncode is not None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _PATIENCE)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def lag(self) -> int:
        """How many records the read models do not reflect yet."""
        return await records_behind(self._log, await self._store.positions())

    async def _started(self) -> Process:
        command = ["-m", "funcledger_compose.projecting", str(self._log.path), str(self._store.path)]
        known = ["--log-level", self._settings.log_level, "--log-format", self._settings.log_format]
        # In a session of its own: Ctrl-C is for the server, which ends it in order.
        return await asyncio.create_subprocess_exec(
            sys.executable, *command, *known, stdin=PIPE, stdout=PIPE, start_new_session=True
        )

    async def _keep(self) -> None:
        while True:
            try:
                code = await self._attend()
            except Exception:
                _log.exception("the projector's process cannot be kept; another is started")
            else:
                if code == STOPPED:
                    break
                _log.warning("the projector's process ended with %s; another is started", code)
            self._ends += 1
            if self._ends == _HOPELESS:
                self._fail(f"its process has ended {_HOPELESS} times without having saved anything")
            await asyncio.sleep(min(_FIRST_PAUSE * 2 ** min(self._ends, _DOUBLINGS), _LONGEST_PAUSE))
        if self.failed is None:
            self._fail("it did not say why")

    def _fail(self, why: str) -> None:
        _log.error("the read models stand still: %s", why)
        self.failed = ProjectorStopped(why)
        self._begun.set()

    async def _attend(self) -> int:
        """Start one, tell it what is new and do what it asks for, until it has ended; how."""
        process = self._process = await self._started()
        telling = asyncio.create_task(self._tell(process))
        telling.add_done_callback(lambda _: self._end(process))
        try:
            await self._listen(process)
            return await process.wait()
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    def _end(self, process: Process) -> None:
        """What is not told, or not heard, any more would never know of anything new."""
        if process.returncode is None and not self._stopping:
            process.kill()

    async def _tell(self, process: Process) -> None:
        assert process.stdin is not None
        told: dict[TopicPartition, int] = {}
        paused = _BREATH
        async with contextlib.aclosing(self._log.moves((*TOPICS, "dead_letters"))) as moves:
            async for ends in moves:
                say(process.stdin, Moved([(*where, end) for where, end in ends.items()]))
                await process.stdin.drain()  # while it does not read, what is new gathers
                new = sum(end - told.get(where, end) for where, end in ends.items())
                told |= ends
                # By how many come in a breath: else a long pause would be the reason for the next.
                paused = _PAUSE if new * _BREATH >= MANY * paused else _BREATH
                await self._pause(paused)

    async def _pause(self, seconds: float) -> None:
        """Let what is new gather, unless somebody waits: each look at the log and each save has its price."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurried.wait()

    def _say(self, message: Message) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            say(self._process.stdin, message)

    async def _listen(self, process: Process) -> None:
        assert process.stdout is not None
        assert process.stdin is not None
        async for message in heard(process.stdout):
            if isinstance(message, Begun):
                self._follows(process)
            elif isinstance(message, Saved):
                self._recovered()
                self._observe(message.documents, message.seconds)
                self._store.changed()
            elif isinstance(message, Append):
                say(process.stdin, await self._append(message))
            elif isinstance(message, Stopped):
                self._fail(message.why)

    def _follows(self, process: Process) -> None:
        self._begun.set()
        self._say(Hurry(self._hurried.is_set()))
        # Where there is nothing to save, to live is enough.
        asyncio.get_running_loop().call_later(_ALIVE, self._lives, process)

    def _lives(self, process: Process) -> None:
        if process is self._process and process.returncode is None:
            self._recovered()

    def _recovered(self) -> None:
        self._ends, self.failed = 0, None

    async def _append(self, asked: Append) -> Appended:
        records = [
            NewRecord(topic, partition, key, tuple(headers), value)
            for topic, partition, key, headers, value in asked.records
        ]
        try:
            positions = await self._through.append(records)
        except OutcomeUnknown as error:
            return Appended(asked.number, wrong="unknown", why=str(error))
        except LogError as error:
            return Appended(asked.number, wrong="unavailable", why=str(error))
        return Appended(asked.number, [(topic, partition, offset) for topic, partition, offset in positions])
