"""What the writer's thread is asked to do: each request knows its part of a transaction and who waits."""

import asyncio
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from funcledger_event_log.port import LogError
from funcledger_event_log.records import NewRecord, Position, TopicPartition
from funcledger_event_log.sqlite.transaction import Transaction

T = TypeVar("T")


class Request(Generic[T]):
    """One thing to write; ``future`` is answered on its event loop once it is durable."""

    #: Bytes it will write, about.
    size = 0

    def __init__(self) -> None:
        self.future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._result: T

    def write(self, transaction: Transaction) -> None:
        """Do it, in the writer's thread, and keep the answer for :meth:`resolve`."""
        raise NotImplementedError

    def resolve(self, error: LogError | None) -> None:
        """Tell who waits, on the event loop; they may have gone away meanwhile."""
        if self.future.done():
            return
        if error is None:
            self.future.set_result(self._result)
        else:
            # Each gets its own, since raising an exception writes a traceback into it.
            self.future.set_exception(type(error)(*error.args))


class Append(Request[list[Position]]):
    """Append records to partitions that exist."""

    def __init__(self, records: Sequence[NewRecord], size: int) -> None:
        super().__init__()
        self._records = records
        self.size = size

    def write(self, transaction: Transaction) -> None:
        """As the base says."""
        self._result = transaction.append(self._records)


class CreateTopic(Request[list[tuple[int, int]]]):
    """Make partitions that are missing; answers with ids and numbers of all the topic has."""

    def __init__(self, topic: str, partitions: int) -> None:
        super().__init__()
        self._topic = topic
        self._partitions = partitions

    def write(self, transaction: Transaction) -> None:
        """As the base says."""
        self._result = transaction.create_topic(self._topic, self._partitions)


class CommitPosition(Request[None]):
    """Keep a consumer's position."""

    def __init__(self, consumer: str, where: TopicPartition, offset: int, metadata: str) -> None:
        super().__init__()
        self._row = (consumer, where, offset, metadata)

    def write(self, transaction: Transaction) -> None:
        """As the base says."""
        transaction.commit_position(*self._row)
        self._result = None


class Trial(Request[None]):
    """Write what changes nothing, to see whether anything can be written."""

    def write(self, transaction: Transaction) -> None:
        """As the base says."""
        transaction.touch()
        self._result = None


#: Requests that are written together.
Group = list[Request[Any]]
