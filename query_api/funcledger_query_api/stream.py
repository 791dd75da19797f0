"""One client's stream of results: what is finished already from the read models, what lands from the log."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from funcledger_event_log.patience import retrying
from funcledger_event_log.port import EventLog, LogUnavailable
from funcledger_event_log.records import Token, TopicPartition
from funcledger_query_api.feed import OutcomeFeed
from funcledger_query_api.finished import Results, finished_of, running_of
from funcledger_query_api.landed import Landed
from funcledger_query_api.progress import Progress
from funcledger_query_api.seen import Seen
from funcledger_query_api.sending import stream_frame
from funcledger_query_api.subscription import Subscription
from funcledger_query_api.views import landed_view, result_view
from funcledger_read_models.port import ReadModelStore, StoreUnavailable
from funcledger_schemas.frames import KEEP_ALIVE
from funcledger_schemas.ids import new_id
from funcledger_web.problems import Problem

_log = logging.getLogger(__name__)
#: Seconds of silence after which a sign of life is sent.
SILENCE = 5.0
#: Most bytes of a frame, beyond its first item: what a reader that does not read keeps in memory.
FRAME_BYTES = 1024 * 1024
#: Most batches of one stream, and most that wait for what landed before they joined.
BATCHES_LIMIT = 10_000


def stream_ended(stream_id: str) -> Problem:
    """The problem of a stream that is not open in this process, or is not this user's."""
    detail = f"There is no open stream {stream_id} of yours here. Open one, with all its batches."
    return Problem("stream-ended", detail, stream_id=stream_id)


def _too_many() -> Problem:
    detail = f"A stream carries {BATCHES_LIMIT} batches at most. Remove those that you do not wait for."
    return Problem("too-many-requests", detail, limit=BATCHES_LIMIT)


@dataclass(slots=True)
class _Joined:
    """Batches whose outcomes before ``start`` are to be sent, but for those that ``sent`` covers."""

    batches: Collection[str]
    start: Token
    sent: Seen = field(default_factory=Seen)


class ResultStream:
    """Sends each first outcome of an owner's batches once: live from the feed's position F on, at once;
    those before F from the read models when they have passed it; none that ``seen`` covers.

    Of batches that join (with the stream, or while it is open) all is sent, whatever ``seen`` covers; when
    all is sent that had landed before they joined, a frame says that they are ``settled``. Only then are they
    among those that ``seen`` is about.

    Ends when the reader is too slow or the server stops; the client goes on with the last ``resume``.
    """

    def __init__(
        self,
        log: EventLog,
        store: ReadModelStore,
        progress: Progress,
        feed: OutcomeFeed,
        *,
        owner: str,
        batches: Collection[str],
        seen: Seen,
        joining: Collection[str] = (),
    ) -> None:
        self.stream_id = new_id()
        self.owner = owner
        self._log, self._store, self._progress, self._feed = log, store, progress, feed
        self._resumed, self._joining, self._seen = set(batches) - set(joining), set(joining), seen
        self._live: Subscription | None = None
        #: What is to be read of the read models; and what was read, until it is sent.
        self._to_read: asyncio.Queue[_Joined] = asyncio.Queue()
        self._pieces: asyncio.Queue[tuple[_Joined, Results | None]] = asyncio.Queue(1)
        self._batches = self._resumed | self._joining
        self._unsettled = len(self._joining)

    def change(self, add: Collection[str], remove: Collection[str]) -> None:
        """Batches that join an open stream, and others that leave it.

        Raises:
            Problem: it is open no more (410), or has as many batches as it may (429).
        """
        live = self._live
        if live is None or live.closed:
            raise stream_ended(self.stream_id)
        after = (self._batches - set(remove)) | set(add)
        if max(len(after), self._unsettled + len(add)) > BATCHES_LIMIT:
            raise _too_many()
        self._batches = after
        self._resumed -= {*add, *remove}
        start = self._feed.resubscribe(live, self.owner, add, remove)
        if add:
            self._unsettled += len(add)
            self._to_read.put_nowait(_Joined(add, start))

    async def frames(self) -> AsyncGenerator[bytes]:
        """Delimited frames, the first one when the stream is live."""
        with self._feed.subscribe(self.owner, batches=self._batches) as live:
            self._live = live
            self._to_read.put_nowait(_Joined(frozenset(self._resumed), live.start, self._seen))
            if self._joining:
                self._to_read.put_nowait(_Joined(self._joining, live.start))
            yield stream_frame([], [], self._seen, hello=True, stream=self.stream_id)
            reading = asyncio.create_task(self._read_states(live), name="result stream: state")
            reading.add_done_callback(lambda _: live.wake())
            try:
                async for frame in self._send(live, reading):
                    yield frame
            finally:
                self._live = None
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def _send(self, live: Subscription, reading: asyncio.Task[None]) -> AsyncIterator[bytes]:
        while not (live.over or self._feed.failed):
            frames = [*self._next_live(live), *self._next_state(live, reading)]
            if begun := live.take_begun():
                frames.append(stream_frame([], [], self._seen, begun=begun))
            for frame in frames:
                yield frame
            if not frames and not await live.wait(SILENCE):
                yield KEEP_ALIVE

    def _next_live(self, live: Subscription) -> Iterator[bytes]:
        taken = live.take(FRAME_BYTES)
        if landed := [each for each in taken if not self._was_sent(each)]:
            yield self._live_frame(landed, live)

    def _was_sent(self, landed: Landed) -> bool:
        """Whether an earlier stream of the client had it: that was of the same batches."""
        covered = self._seen.covers(landed.partition, landed.offset)
        return covered and landed.event.batch_id in self._resumed

    def _next_state(self, live: Subscription, reading: asyncio.Task[None]) -> Iterator[bytes]:
        if reading.done():
            reading.result()
        if self._pieces.empty():
            return
        joined, results = self._pieces.get_nowait()
        if results is not None:
            yield self._state_frame(joined, results)
        elif joined.sent is self._seen:
            self._seen.add_all_before(live.start)
            yield stream_frame([], [], self._seen)
        else:
            self._unsettled -= len(joined.batches)
            yield stream_frame([], [], self._seen, settled=sorted(joined.batches))
        self._pieces.task_done()

    def _live_frame(self, landed: Sequence[Landed], live: Subscription) -> bytes:
        for each in landed:
            start = live.start.ends.get(TopicPartition("results", each.partition), 0)
            self._seen.add_span(each.partition, start, each.offset + 1)
        return stream_frame(
            [landed_view(each) for each in landed], [each.payload for each in landed], self._seen
        )

    def _state_frame(self, joined: _Joined, results: Results) -> bytes:
        tasks, payloads = [], []
        for result, payload in results:
            view = result_view(result)
            view.size, view.truncated = len(payload or b""), payload is None
            tasks.append(view)
            payloads.append(payload or b"")
            joined.sent.add_before(result.partition, result.offset + 1)
        return stream_frame(tasks, payloads, self._seen)

    async def _read_states(self, live: Subscription) -> None:
        """Queue what was finished before the batches joined, waiting as long as it takes to know it."""
        while True:
            joined = await self._to_read.get()
            async for attempt in retrying(
                StoreUnavailable,
                LogUnavailable,
                first=0.1,
                most=5.0,
                say=lambda _: _log.warning("the state of a stream cannot be read; trying again"),
            ):
                with attempt:
                    await self._queue_state(joined, live)

    async def _queue_state(self, joined: _Joined, live: Subscription) -> None:
        await self._pieces.join()  # so that another attempt knows what was sent
        while not await self._progress.passed(joined.start, None):
            pass

        def wanted(partition: int, offset: int) -> bool:
            before = offset < joined.start.ends.get(TopicPartition("results", partition), 0)
            return before and not joined.sent.covers(partition, offset)

        async for piece in finished_of(self._log, self._store, self.owner, joined.batches, wanted):
            await self._queue(joined, piece, live)
        async for task_id in running_of(self._store, self.owner, joined.batches):
            live.began(task_id)
        await self._queue(joined, None, live)

    async def _queue(self, joined: _Joined, piece: Results | None, live: Subscription) -> None:
        await self._pieces.put((joined, piece))
        live.wake()
