"""One client's stream of results: what is finished already from the read models, what lands from the log."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Sequence

from funcledger_event_log.patience import retrying
from funcledger_event_log.port import EventLog, LogUnavailable
from funcledger_event_log.records import TopicPartition
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

_log = logging.getLogger(__name__)
#: Seconds of silence after which a sign of life is sent.
SILENCE = 5.0
#: Most bytes of a frame, beyond its first item: what a reader that does not read keeps in memory.
FRAME_BYTES = 1024 * 1024


class ResultStream:
    """Sends each first outcome of an owner's batches once: live from the feed's position F on, at once;
    those before F from the read models when they have passed it; none that ``seen`` covers.

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
    ) -> None:
        self._log, self._store, self._progress, self._feed = log, store, progress, feed
        self._owner, self._batches, self._seen = owner, batches, seen
        self._pieces: asyncio.Queue[Results] = asyncio.Queue(1)
        self._state_sent = False

    async def frames(self) -> AsyncGenerator[bytes]:
        """Delimited frames, the first one when the stream is live."""
        with self._feed.subscribe(self._owner, batches=self._batches) as live:
            yield stream_frame([], [], self._seen, hello=True)
            reading = asyncio.create_task(self._read_state(live), name="result stream: state")
            reading.add_done_callback(lambda _: live.wake())
            try:
                async for frame in self._send(live, reading):
                    yield frame
            finally:
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
        if landed := [each for each in taken if not self._seen.covers(each.partition, each.offset)]:
            yield self._live_frame(landed, live)

    def _next_state(self, live: Subscription, reading: asyncio.Task[None]) -> Iterator[bytes]:
        if not self._pieces.empty():
            yield self._state_frame(self._pieces.get_nowait())
        elif reading.done() and not self._state_sent:
            reading.result()
            self._state_sent = True
            self._seen.add_all_before(live.start)
            yield stream_frame([], [], self._seen)

    def _live_frame(self, landed: Sequence[Landed], live: Subscription) -> bytes:
        for each in landed:
            start = live.start.ends.get(TopicPartition("results", each.partition), 0)
            self._seen.add_span(each.partition, start, each.offset + 1)
        return stream_frame(
            [landed_view(each) for each in landed], [each.payload for each in landed], self._seen
        )

    def _state_frame(self, results: Results) -> bytes:
        tasks, payloads = [], []
        for result, payload in results:
            view = result_view(result)
            view.size, view.truncated = len(payload or b""), payload is None
            tasks.append(view)
            payloads.append(payload or b"")
            self._seen.add_before(result.partition, result.offset + 1)
        self._pieces.task_done()
        return stream_frame(tasks, payloads, self._seen)

    async def _read_state(self, live: Subscription) -> None:
        """Queue what was finished before the stream began, waiting as long as it takes to know it."""
        async for attempt in retrying(
            StoreUnavailable,
            LogUnavailable,
            first=0.1,
            most=5.0,
            say=lambda _: _log.warning("the state of a stream cannot be read; trying again"),
        ):
            with attempt:
                await self._queue_state(live)

    async def _queue_state(self, live: Subscription) -> None:
        await self._pieces.join()  # so that another attempt knows what was sent
        while not await self._progress.passed(live.start, None):
            pass

        def wanted(partition: int, offset: int) -> bool:
            before = offset < live.start.ends.get(TopicPartition("results", partition), 0)
            return before and not self._seen.covers(partition, offset)

        async for piece in finished_of(self._log, self._store, self._owner, self._batches, wanted):
            await self._pieces.put(piece)
            live.wake()
        async for task_id in running_of(self._store, self._owner, self._batches):
            live.began(task_id)
