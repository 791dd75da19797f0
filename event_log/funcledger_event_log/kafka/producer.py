"""The one producer of a process: many appends at once, each answered when all of its records are."""

import asyncio
import functools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from funcledger_event_log.kafka.admin import ANSWER_TIMEOUT
from funcledger_event_log.kafka.prefixes import Prefixes
from funcledger_event_log.kafka.request import Request, Stamped
from funcledger_event_log.kafka.settings import KafkaSettings
from funcledger_event_log.port import LogUnavailable, OutcomeUnknown
from funcledger_event_log.records import NewRecord, Position

_log = logging.getLogger(__name__)

#: What may wait for acknowledgement before more is refused.
WAITING_BYTES = 256 << 20
WAITING_RECORDS = 500_000
#: Seconds before a producer that could not be built is tried again: at first, and in the end.
_PAUSE, _LONGEST_PAUSE = 0.5, 8.0


class Writer:
    """Appends through one idempotent producer, built anew after a fatal error or when nothing gets through.

    Nothing, that is, for twice the time after which a record is given up: a producer may lose the cluster
    for good (librdkafka issue 5301). What is under way then ends as of unknown outcome.
    """

    def __init__(self, settings: KafkaSettings, build: Callable[[dict[str, Any]], Producer]) -> None:
        self._settings = settings
        self._build = build
        self._prefixes = Prefixes(settings.schema_ids)
        self._broken = False
        self._closed = threading.Event()
        self._waiting_bytes = 0
        self._waiting_records = 0
        #: When the first of those was begun that came to nothing since something was acknowledged.
        self._silent_since: float | None = None
        #: Whether an append came to nothing since one was acknowledged last.
        self.in_doubt = False
        self._looking = ThreadPoolExecutor(1, thread_name_prefix="kafka-producer-look")
        self._producer = build(settings.producer())
        self._poller = threading.Thread(target=self._poll, name="kafka-producer", daemon=True)
        self._poller.start()

    @property
    def ready(self) -> bool:
        """Whether the producer can take records."""
        return not (self._broken or self._closed.is_set())

    def _poll(self) -> None:
        while not self._closed.is_set():
            self._serve(0.1)
            if self._broken:
                self._renew()

    def _serve(self, patience: float) -> None:
        """Hand on delivery reports; the client library raises what is fatal to it from here."""
        try:
            self._producer.poll(patience)
        except KafkaException as error:
            self._note(error)

    def _note(self, error: KafkaException) -> None:
        if error.args[0].fatal():
            _log.error("the producer met a fatal error and is built anew: %s", error.args[0].str())
            self._broken = True

    def _renew(self) -> None:
        """Let what is under way end, as of unknown outcome, then start with a fresh producer."""
        self._producer.purge()
        while len(self._producer):
            self._serve(0.1)
        if (producer := self._rebuilt()) is not None:
            self._producer = producer
            self._silent_since = None
            self._broken = False

    def _rebuilt(self) -> Producer | None:
        """A fresh producer as soon as one can be made; None when the log is closed first.

        The library reads certificates when it makes one, and refuses while a file is away or half written.
        """
        pause = _PAUSE
        while not self._closed.is_set():
            try:
                return self._build(self._settings.producer())
            except Exception as error:  # whatever it is, without this thread the log were red for ever
                _log.warning("no new producer can be made; trying again in %g s: %s", pause, error)
            self._closed.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return None

    async def learn(self, topic: str) -> None:
        """Have the producer look at the topic's partitions anew; it refuses those it has not heard of."""
        look = functools.partial(self._producer.list_topics, self._settings.topic(topic), ANSWER_TIMEOUT)
        begun = time.monotonic()
        try:
            await asyncio.get_running_loop().run_in_executor(self._looking, look)
        except KafkaException as error:
            self._doubt(begun)
            raise LogUnavailable(f"the broker could not be asked about {topic}: {error}") from error

    async def append(self, records: Sequence[NewRecord], size: int) -> list[Position]:
        """Append ``size`` bytes and wait for every record's acknowledgement, as the port says."""
        return await self._answer(records, size, Request(records)) if records else []

    async def stamp(self, record: NewRecord, size: int) -> int:
        """Append a record of ``size`` bytes; the append time (ms) that the broker gave it."""
        request = Stamped(record)
        await self._answer([record], size, request)
        if request.timestamp is None:
            topic = self._settings.topic(record.topic)
            raise LogUnavailable(
                f"{topic} keeps the writer's time; set message.timestamp.type=LogAppendTime for it"
            )
        return request.timestamp

    async def _answer(self, records: Sequence[NewRecord], size: int, request: Request) -> list[Position]:
        self._check_room(len(records), size)
        self._waiting_bytes += size
        self._waiting_records += len(records)
        begun = time.monotonic()
        try:
            self._send(records, request)
            positions = await request.done
            self._trust()
            return positions
        except OutcomeUnknown:
            if request.reached:
                self._trust()
            else:
                self._doubt(begun)
            raise
        finally:
            self._waiting_bytes -= size
            self._waiting_records -= len(records)

    def _trust(self) -> None:
        """Something was acknowledged."""
        self._silent_since, self.in_doubt = None, False

    def _doubt(self, begun: float) -> None:
        """What began then came to nothing."""
        self.in_doubt = True
        # Read once: the polling thread may have a new producer, and forget, at any moment.
        since = self._silent_since = self._silent_since or begun
        if time.monotonic() - since > 2 * self._settings.delivery_timeout:
            _log.warning("nothing has got through to the broker for long; the producer is built anew")
            self._broken = True

    def _check_room(self, records: int, size: int) -> None:
        if not self.ready:
            raise LogUnavailable("the producer is being built anew; try again later")
        if self._waiting_records and (
            self._waiting_bytes + size > WAITING_BYTES or self._waiting_records + records > WAITING_RECORDS
        ):
            raise LogUnavailable(
                f"{self._waiting_records} records wait for the broker, which is behind; try again later"
            )

    def _send(self, records: Sequence[NewRecord], request: Request) -> None:
        for index, record in enumerate(records):
            try:
                self._produce(record, index, request)
            except BufferError:
                request.refused(len(records) - index, KafkaError(KafkaError._QUEUE_FULL))
                return
            except KafkaException as error:
                self._note(error)
                # Not this one nor those after it were taken, whatever the reason.
                code = KafkaError._STATE if error.args[0].fatal() else error.args[0].code()
                request.refused(len(records) - index, KafkaError(code))
                return

    def _produce(self, record: NewRecord, index: int, request: Request) -> None:
        headers: list[Any] = list(record.headers)
        self._producer.produce(
            self._settings.topic(record.topic),
            value=self._prefixes.value_of(record),
            key=record.key,
            partition=record.partition,
            headers=headers,
            on_delivery=functools.partial(request.answered, index),
        )

    def close(self) -> None:
        """Send what was accepted, then stop."""
        self._producer.flush(self._settings.delivery_timeout)
        self._closed.set()
        self._poller.join()
        self._looking.shutdown(wait=False)
