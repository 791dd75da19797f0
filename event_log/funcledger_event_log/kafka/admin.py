"""The client for everything but records: it answers with futures, so that no thread waits for the cluster."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from funcledger_event_log.kafka.errors import translate
from funcledger_event_log.kafka.settings import KafkaSettings
from funcledger_event_log.port import LogError, LogUnavailable, UnknownPartition

K = TypeVar("K")

#: Seconds a question waits for its answer.
ANSWER_TIMEOUT = 5.0
#: Seconds for which a question is asked again when a leader or coordinator is only just taking over.
_PATIENCE = 10.0
#: Answers of a cluster that is about to be able to answer.
_SOON = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.INVALID_REPLICATION_FACTOR,  # no broker has registered yet
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError._UNKNOWN_PARTITION,  # the client's own picture is older than the topic
}


#: What a client says that waited in vain, perhaps because it has lost the cluster for good.
_LOST = {KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN}


class _Complaint:
    """What a client said last of why no broker can be asked; empty since one answered.

    Apart from ``Admin``: a client holds its callback, and the two would keep each other, threads and all.
    """

    def __init__(self) -> None:
        self.text = ""

    def hear(self, error: KafkaError) -> None:
        """As librdkafka's ``error_cb``."""
        # That none is left says nothing of why.
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self.text = error.str()


class Admin:
    """One admin client; what fails for a moment only is asked again.

    A client that waited in vain is replaced: one that asks while no broker is registered, as just after a
    restart, forgets them all and never looks again (librdkafka issue 5301).

    Nothing of it may be asked of a group's coordinator: that can end the process (librdkafka issue 4605).
    """

    def __init__(
        self, settings: KafkaSettings, build: Callable[[dict[str, Any]], AdminClient] = AdminClient
    ) -> None:
        self._settings, self._build = settings, build
        self._complaint = _Complaint()
        self._client = self._built()

    def _built(self) -> AdminClient:
        return self._build(self._settings.admin() | {"error_cb": self._complaint.hear})

    async def ask(self, call: Callable[[AdminClient, float], "Future[Any]"]) -> Any:
        """The answer to one question.

        Raises:
            LogUnavailable, UnknownPartition: as the cluster says.
        """
        answers = await self.ask_all(lambda client, timeout: {None: call(client, timeout)})
        return answers[None]

    async def brokers(self) -> int:
        """How many the cluster has now.

        Raises:
            LogUnavailable: the cluster cannot be asked, or none has registered yet.
        """
        found = await self.ask(lambda client, timeout: client.describe_cluster(request_timeout=timeout))
        if not found.nodes:
            raise LogUnavailable("no broker has registered with the cluster yet")
        return len(found.nodes)

    async def ask_all(self, call: Callable[[AdminClient, float], Mapping[K, "Future[Any]"]]) -> dict[K, Any]:
        """The answers to several questions that go out together."""
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while True:
            try:
                return await self._once(call)
            except KafkaException as error:
                code = error.args[0].code()
                if code not in _SOON or asyncio.get_running_loop().time() > deadline:
                    raise self._told(error) from error
            await asyncio.sleep(0.05)

    async def _once(self, call: Callable[[AdminClient, float], Mapping[K, "Future[Any]"]]) -> dict[K, Any]:
        client = self._client
        try:
            client.poll(0)  # hands on what the client has logged
            futures = call(client, ANSWER_TIMEOUT)
            answers = await asyncio.gather(
                *(asyncio.wrap_future(future) for future in futures.values()), return_exceptions=True
            )
            for answer in answers:
                if isinstance(answer, BaseException):
                    self._doubt(client, answer)
                    raise answer
            self._complaint.text = ""
            return dict(zip(futures, answers, strict=True))
        finally:
            # An error and the frame that it is raised from hold each other until Python looks for such
            # pairs: hardly ever in a process that waits. A client that is replaced would stay, four threads.
            del client

    def _doubt(self, client: AdminClient, error: BaseException) -> None:
        """Ask another client from now on, if this one waited in vain and nobody has replaced it yet."""
        lost = isinstance(error, KafkaException) and error.args[0].code() in _LOST
        if lost and client is self._client:
            client.poll(0)  # hands on why, where it knows
            with contextlib.suppress(KafkaException):  # no client can be made just now: later, then
                self._client = self._built()

    async def tell(self, call: Callable[[AdminClient], "Future[Any]"], unless: int) -> None:
        """Have something done, unless it is done already, which ``unless`` is the code for."""
        client = self._client
        try:
            await asyncio.wrap_future(call(client))
        except KafkaException as error:
            self._doubt(client, error)
            if error.args[0].code() != unless:
                raise self._told(error) from error

    def _told(self, error: KafkaException) -> LogError:
        known = error.args[0]
        if isinstance(told := translate(known), UnknownPartition):
            return told
        # A client that is refused for its account or certificate only waits, and then says that it did.
        why = f" ({self._complaint.text})" if known.code() in _LOST and self._complaint.text else ""
        return LogUnavailable(known.str() + why)
