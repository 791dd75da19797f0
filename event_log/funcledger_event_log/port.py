"""The port ``EventLog``: topics of numbered partitions, with Kafka's semantics and no more."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import NamedTuple, Protocol

from funcledger_event_log.records import NewRecord, Position, Record, TopicPartition


class LogError(Exception):
    """Root of what a log raises."""


class LogUnavailable(LogError):
    """Raised when the log cannot be reached or cannot take more just now; try again later."""


class LogFull(LogUnavailable):
    """Raised when there is no space left; nothing of the request was written."""


class OutcomeUnknown(LogError):
    """Raised when records may or may not have been appended; resending the same ids is safe."""


class UnknownPartition(LogError):
    """Raised for a topic or partition that does not exist."""


class PositionGone(LogError):
    """Raised when following or reading from an offset that retention has already removed."""


class LogCorrupt(LogError):
    """Raised when what is kept is not what was written, or not a log we can read; says what to do."""


class RecordTooLarge(LogError):
    """Raised before anything is written when a record is over the log's limit."""


class Committed(NamedTuple):
    """A consumer's position: the next offset it will read, and its small metadata text."""

    offset: int
    metadata: str


class EventLog(Protocol):
    """A log of records that every part writes to and follows.

    Laws an adapter keeps, each a test of the contract suite:

    - Acknowledged means durable (law 1): :meth:`append` returns when its records survive ``kill -9``.
    - Offsets of a partition grow by one from 0 with no gap; records of one ``append`` keep their order
      within a partition.
    - A follower sees every record from its position once, in order per partition, without gaps,
      whatever happens at the same time; it never sees one that could still vanish.
    - Bytes go in and bytes come out: key, headers (order and repeats kept) and value are untouched.
    """

    async def create_topic(self, topic: str, partitions: int) -> None:
        """Make a topic, or grow it to so many partitions. Idempotent; never shrinks."""
        ...

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has; 0 when it does not exist."""
        ...

    async def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """Append records, for any partitions; returns their positions in the order given, once durable.

        Raises:
            UnknownPartition, RecordTooLarge, LogFull: nothing was written.
            LogUnavailable: nothing was written; try again later.
            OutcomeUnknown: some or all may have been written; resend the same ids.
        """
        ...

    def follow(
        self, start: Mapping[TopicPartition, int], *, max_records: int = 1000, max_bytes: int = 8 << 20
    ) -> AsyncGenerator[list[Record]]:
        """Batches of records from the given offsets on, then new ones as they come, without end.

        A batch holds at most ``max_records`` and stops growing once over ``max_bytes``; it may mix
        partitions. Never yields an empty batch. Close the iterator (``aclose``) to stop.

        Raises:
            UnknownPartition: on the first step.
            PositionGone: when retention has overtaken the position.
        """
        ...

    async def read(self, positions: Sequence[Position]) -> list[Record | None]:
        """Single records, in the order asked; None for one that is not there (yet, or any more)."""
        ...

    async def ends(self, topic: str) -> dict[int, int]:
        """Per partition, the offset the next record will get."""
        ...

    async def starts(self, topic: str) -> dict[int, int]:
        """Per partition, the lowest offset still kept."""
        ...

    async def commit(self, consumer: str, where: TopicPartition, offset: int, metadata: str = "") -> None:
        """Keep a consumer's position: ``offset`` is the next it will read; metadata under 4,096 bytes."""
        ...

    async def committed(self, consumer: str, where: TopicPartition) -> Committed | None:
        """The position kept last, None when there is none."""
        ...

    async def time(self) -> int:
        """The log's time in ms: about, and never after, the append time of a record appended now.

        Not to be had from the clock of whoever asks, where the log is elsewhere (FAULTS 18).

        Raises:
            LogUnavailable: the log does not say; try again later.
        """
        ...

    async def ready(self) -> bool:
        """Whether an append could be taken now, and what is kept can be read as far as anybody has met."""
        ...

    async def trouble(self) -> str | None:
        """Why it is not ready, in sentences that may be told to anybody; None when it is."""
        ...

    async def close(self) -> None:
        """Finish what was accepted, then let go of everything."""
        ...
