"""Records of the log and where they stand, in Kafka's terms."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from funcledger_schemas import envelope
from funcledger_schemas.codec import DecodeError
from funcledger_schemas.envelope import Brief, Head, Headers
from funcledger_schemas.events import Event

#: What headers that follow from an event may take, in bytes: names, texts that never change, and ids.
_BRIEF = 1024
#: Schemas there may be that somebody else has written, by name: what an agent sends is looked up too.
_NAMES = 1024


class TopicPartition(NamedTuple):
    """One ordered sequence of records."""

    topic: str
    partition: int


class Position(NamedTuple):
    """Where one record stands."""

    topic: str
    partition: int
    offset: int


class _Named(dict[str, str]):
    """By a ``ce_dataschema``, the event's name; of those that were asked for lately."""

    def __missing__(self, dataschema: str) -> str:
        if len(self) >= _NAMES:
            self.clear()
        name = self[dataschema] = envelope.event_of(dataschema)
        return name


_named = _Named()


class _Headed(msgspec.Struct, gc=False, eq=False):
    """What has headers, written out or not, and a value.

    Records are what a busy server has most of; the garbage collector has nothing to look for in them.
    """

    topic: str
    partition: int
    if TYPE_CHECKING:
        # Fields further on, each subclass having its own before them.
        @property
        def head(self) -> Head: ...
        @property
        def value(self) -> bytes: ...

    def event(self) -> Event:
        """The event.

        Raises:
            DecodeError: the value cannot be read.
        """
        raise NotImplementedError

    def event_if_readable(self) -> Event | None:
        """The event, None where it cannot be read: the projectors keep that as a dead letter (law 11)."""
        try:
            return self.event()
        except DecodeError:
            return None

    @property
    def headers(self) -> Headers:
        """The headers, written out; not kept, since they take more memory than all the rest."""
        head = self.head
        if not isinstance(head, Brief):
            return head
        try:
            return envelope.spelled_out(head, self.event())
        except DecodeError:
            return envelope.spelled_out(head, None)

    def header(self, name: str) -> str | None:
        """One of the headers as text, None when there is none or it is not text."""
        return envelope.header(self.headers, name)

    @property
    def type(self) -> str | None:
        """The event's class name from the headers, None when there is none."""
        head = self.head
        return _named[head[0]] if type(head) is Brief else envelope.type_of(head)

    @property
    def dataschema(self) -> str | None:
        """The schema that the value was written with, from the headers, None when there is none."""
        return envelope.dataschema_of(self.head)

    @property
    def traceparent(self) -> str | None:
        """The W3C trace context, None when there is none."""
        return envelope.header(extra, "traceparent") if (extra := envelope.extra_of(self.head)) else None


class NewRecord(_Headed, gc=False, eq=False):
    """A record to append; ``decoded`` is what the value decodes to, where the writer has it at hand."""

    key: bytes
    head: Head
    value: bytes
    decoded: Event | None = None

    @classmethod
    def of(cls, event: Event, partition: int, extra: Headers = (), value: bytes | None = None) -> "NewRecord":
        """The event as a record of its topic; ``extra`` headers may carry a ``traceparent``.

        ``value`` is the event's encoding where the writer has it at hand.
        """
        topic, key, head, value = envelope.seal(event, extra, value)
        return cls(topic, partition, key, head, value, event)

    def event(self) -> Event:
        """As the base says."""
        return self.decoded or envelope.unseal(self.head, self.value)

    def size(self) -> int:
        """Bytes of key, headers and value; headers that are not written out count as what they may take."""
        size = len(self.key) + len(self.value)
        if isinstance(self.head, Brief):
            size += _BRIEF
        for name, value in envelope.extra_of(self.head):
            size += len(name) + len(value)
        return size


class Record(_Headed, gc=False, eq=False):
    """A record of the log; ``timestamp`` is its append time in milliseconds since 1970."""

    offset: int
    timestamp: int
    key: bytes
    head: Head
    value: bytes
    #: The event where somebody in this process has it already; None is no statement about the value.
    decoded: Event | None = None

    @property
    def position(self) -> Position:
        """Where it stands."""
        return Position(self.topic, self.partition, self.offset)

    def event(self) -> Event:
        """As the base says; decoded once however many followers of this process ask."""
        if self.decoded is None:
            self.decoded = envelope.unseal(self.head, self.value)
        return self.decoded


class Token:
    """A position token (law 9): per partition the offset that must have been passed, merged by maximum."""

    __slots__ = ("ends",)

    def __init__(self, ends: dict[TopicPartition, int] | None = None) -> None:
        #: Per partition, the offset after the last record seen.
        self.ends = ends or {}

    @classmethod
    def after(cls, positions: Iterable[Position]) -> "Token":
        """The token of somebody who has seen these records."""
        ends: dict[tuple[str, int], int] = {}
        for topic, partition, offset in positions:
            if offset >= ends.get((topic, partition), 0):
                ends[topic, partition] = offset + 1
        return cls({TopicPartition(*where): end for where, end in ends.items()})

    def advance(self, where: TopicPartition, end: int) -> None:
        """Having seen all before ``end`` there."""
        self.ends[where] = max(self.ends.get(where, 0), end)

    def merge(self, other: "Token") -> "Token":
        """What somebody has seen who has seen both."""
        merged = Token(dict(self.ends))
        for where, end in other.ends.items():
            merged.advance(where, end)
        return merged

    def __str__(self) -> str:
        return ",".join(f"{where.topic}:{where.partition}:{end}" for where, end in sorted(self.ends.items()))

    @classmethod
    def parse(cls, text: str) -> "Token":
        """The token in this text, which clients treat as opaque.

        Raises:
            ValueError: it is not a token of ours.
        """
        token = cls()
        for part in filter(None, text.split(",")):
            topic, partition, end = part.split(":")
            if topic not in envelope.TOPICS or not (_is_count(partition, 9) and _is_count(end, 19)):
                raise ValueError(f"not a position token: {text[:80]!r}")
            token.advance(TopicPartition(topic, int(partition)), int(end))
        return token


def _is_count(text: str, digits: int) -> bool:
    """Whether it is a number as we write one: no sign, no space, no other script's digits."""
    return text.isascii() and text.isdigit() and len(text) <= digits


__all__ = ["DecodeError", "NewRecord", "Position", "Record", "Token", "TopicPartition"]
