"""A few consumers that fetch what is no longer in memory, each going on from where it stands when it can."""

import asyncio
import functools
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import TopicPartition as KafkaPartition

from funcledger_event_log.kafka.reader import Introduced, consumer, drain
from funcledger_event_log.kafka.settings import KafkaSettings
from funcledger_event_log.port import LogUnavailable
from funcledger_event_log.records import Position, Record, TopicPartition

#: Consumers at most, whoever asks; each holds a few megabytes.
LANES = 4
#: Seconds in which records that exist have to arrive.
_PATIENCE = 10.0
#: Seconds after which a lane nobody has used stops fetching ahead.
_REST = 1.0
#: Offsets nobody asked for that are read past rather than jumped over.
_GAP = 500

#: What is asked for exists, so a fetch need not wait; one that did would hold up the next question.
#: Small fetches, because all of one is unpacked before the first record of it comes out.
_AHEAD = {"fetch.wait.max.ms": 5, "fetch.message.max.bytes": 128 << 10}


class Lane:
    """A consumer of one partition at a time; used by one thread at a time."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._consumer = consumer(settings.consumer("reader") | _AHEAD)
        self._introduced = Introduced(self._consumer)
        self._held: deque[Record] = deque()
        #: What it would hand out next.
        self.next: Position | None = None

    def batch(self, where: TopicPartition, offset: int, records: int, size: int) -> list[Record]:
        """Records from an existing offset on: at most ``records``, not growing once over ``size`` bytes."""
        if self.next != (*where, offset):
            self._go(where, offset)
        self._wait(records)
        taken: list[Record] = []
        while len(taken) < records and size > 0 and (self._held or self._more(0, records - len(taken))):
            taken.append(self._held.popleft())
            size -= len(taken[-1].value)
        self.next = Position(*where, taken[-1].offset + 1)
        return taken

    def _go(self, where: TopicPartition, offset: int) -> None:
        self._held.clear()
        topic = self._settings.topic(where.topic)
        self._introduced.introduce([topic])
        self._consumer.assign([KafkaPartition(topic, where.partition, offset)])

    def _wait(self, records: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not self._held and not self._more(0.2, records):
            if time.monotonic() > deadline:
                raise LogUnavailable("the broker did not hand over records in time")

    def _more(self, patience: float, records: int) -> bool:
        # No more than are wanted: a record costs little in the client library, and much more as ours.
        self._held.extend(drain(self._consumer, self._settings.prefix, patience, min(records, 1000)))
        return bool(self._held)

    def rest(self) -> None:
        """Stop fetching ahead."""
        self._held.clear()
        self._consumer.unassign()
        self.next = None

    def close(self) -> None:
        """Let go of the consumer."""
        self._consumer.close()


class Lanes:
    """The lanes there are, made as they are needed."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._made = 0
        self._free: list[Lane] = []
        self._room = asyncio.Semaphore(LANES)
        self._threads = ThreadPoolExecutor(LANES, thread_name_prefix="kafka-lane")
        self._closed = False

    async def batch(self, where: TopicPartition, offset: int, records: int, size: int) -> list[Record]:
        """As :meth:`Lane.batch`."""
        return await self._use(
            Position(*where, offset), lambda lane: lane.batch(where, offset, records, size)
        )

    async def pick(self, where: TopicPartition, offsets: Sequence[int]) -> list[Record]:
        """The records at these rising offsets, which exist."""
        found: list[Record] = []
        for run in _runs(offsets):
            found += await self._use(Position(*where, run[0]), functools.partial(_read_run, where, run))
        return found

    async def _use(self, at: Position, work: Callable[[Lane], list[Record]]) -> list[Record]:
        await self._room.acquire()
        if self._closed:
            self._room.release()
            raise LogUnavailable("the log is closed")
        try:
            lane = self._lane(at)
        except LogUnavailable:
            self._room.release()
            raise
        job = asyncio.get_running_loop().run_in_executor(self._threads, work, lane)
        job.add_done_callback(functools.partial(self._back, lane))
        # Whoever asked may go away; the lane is free only when its thread is done with it.
        return await asyncio.shield(job)

    def _lane(self, at: Position) -> Lane:
        """The one that stands there, else one that rests, a new one, or the one used last.

        (Followers go round their partitions: of those, the one used last is needed again last.)
        """
        for wanted in (at, None):
            for lane in self._free:
                if lane.next == wanted:
                    self._free.remove(lane)
                    return lane
        if self._made < LANES:
            lane = Lane(self._settings)
            self._made += 1
            return lane
        return self._free.pop()

    def _back(self, lane: Lane, job: "asyncio.Future[list[Record]]") -> None:
        if self._closed or job.cancelled() or job.exception() is not None:
            self._made -= 1
            lane.close()
        else:
            self._free.append(lane)
            asyncio.get_running_loop().call_later(_REST, self._rest, lane, lane.next)
        self._room.release()

    def _rest(self, lane: Lane, stood: Position | None) -> None:
        if lane in self._free and lane.next == stood:
            lane.rest()

    def close(self) -> None:
        """Let go of every lane; those at work follow when they are done."""
        self._closed = True
        for lane in self._free:
            lane.close()
        self._free.clear()
        self._threads.shutdown(wait=False)


def _runs(offsets: Sequence[int]) -> Iterator[list[int]]:
    """The offsets in stretches that are read in one go."""
    run = [offsets[0]]
    for offset in offsets[1:]:
        if offset - run[-1] > _GAP:
            yield run
            run = []
        run.append(offset)
    yield run


def _read_run(where: TopicPartition, run: Sequence[int], lane: Lane) -> list[Record]:
    wanted, found = set(run), list[Record]()
    at, end = run[0], run[-1] + 1
    while at < end:
        batch = lane.batch(where, at, end - at, 8 << 20)
        found += [record for record in batch if record.offset in wanted]
        at = batch[-1].offset + 1
    return found
