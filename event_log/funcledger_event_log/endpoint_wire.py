"""Records and events in frames between an agent and the gateway: columns in the head, values behind it."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Annotated, TypeVar

import msgspec

from funcledger_event_log.endpoint_port import Identity
from funcledger_event_log.records import Record
from funcledger_schemas import codec, frames, manifest
from funcledger_schemas.envelope import Brief
from funcledger_schemas.events import Event
from funcledger_schemas.frames import FrameError

#: Where the gateway's routes are.
PREFIX = "/v1/gateway"
#: Seconds between signs of life on a feed; one silent for three of them is dead.
KEEP_ALIVE_INTERVAL = 5.0
#: Most events in one append frame; agents send as many frames as they need.
EVENTS_LIMIT = 2_000
#: Values of one append frame take no more than this, unless a single one does.
APPEND_BYTES = 16 * 1024 * 1024
#: Most offsets in one request for whole records.
FETCH_LIMIT = 1_000


#: Most the head of an append frame may take: three numbers for each event, and the names of all schemas there
#: are. So no more is read of it than a sender of ours has to say.
APPEND_HEAD = 64 * 1024

_encode = msgspec.json.Encoder().encode
_Natural = Annotated[int, msgspec.Meta(ge=0)]


class _Columns(msgspec.Struct, forbid_unknown_fields=True):
    """Per item: which of ``schemas`` its value is of, and how many bytes it takes."""

    schemas: list[str]
    schema: list[_Natural]
    sizes: list[_Natural]


class _FeedColumns(_Columns, forbid_unknown_fields=True):
    """Per record also: its offset, its append time in milliseconds, and its trace where any has one."""

    offsets: list[int]
    timestamps: list[int]
    traceparents: list[str | None] | None = None


#: One event of an append frame: the schema it claims, and its bytes.
Encoded = tuple[str, bytes]


def pack_feed(records: Sequence[Record], *, delimited: bool = False) -> bytes:
    """The records of one endpoint as a frame; topic, partition and key are known to both sides."""
    schemas: dict[str, int] = {}
    # Records of one schema have most often one head among them.
    heads = {id(record.head): record for record in records}
    of_head = {
        head: schemas.setdefault(record.dataschema or "", len(schemas)) for head, record in heads.items()
    }
    trace_of = {head: record.traceparent for head, record in heads.items()}
    order = [id(record.head) for record in records]
    schema = [of_head[head] for head in order]
    traces = [trace_of[head] for head in order] if any(trace_of.values()) else []
    head = {
        "schemas": list(schemas),
        "schema": schema,
        "sizes": [len(record.value) for record in records],
        "offsets": [record.offset for record in records],
        "timestamps": [record.timestamp for record in records],
        "traceparents": traces or None,
    }
    values = [record.value for record in records]
    return frames.pack_encoded(_encode(head), values, delimited=delimited)


def unpack_feed(frame: bytes, topic: str, identity: Identity) -> list[Record]:
    """The records of a frame that the gateway sent.

    Raises:
        FrameError: it is not such a frame.
    """
    head, values = _unpack(frame, _FeedColumns)
    count = len(values)
    traces = head.traceparents or [None] * count
    if not len(head.offsets) == len(head.timestamps) == len(traces) == count:
        raise FrameError("the columns of the frame differ in length")
    heads = [Brief(dataschema) for dataschema in head.schemas]
    key = identity.endpoint_id.encode()
    return [
        Record(topic, identity.partition, offset, timestamp, key, _traced(heads[index], trace), value)
        for offset, timestamp, index, trace, value in zip(
            head.offsets, head.timestamps, head.schema, traces, values, strict=True
        )
    ]


def pack_appends(events: Sequence[Event]) -> Iterator[bytes]:
    """The events as one frame or, where they are too many or too large for one, several in order."""
    start = size = 0
    values = [codec.encode(event) for event in events]
    for at, value in enumerate(values):
        if at > start and (at - start == EVENTS_LIMIT or size + len(value) > APPEND_BYTES):
            yield _pack_append(events[start:at], values[start:at])
            start, size = at, 0
        size += len(value)
    if values:
        yield _pack_append(events[start:], values[start:])


def unpack_append(frame: bytes) -> list[Encoded]:
    """What an agent sent, undecoded.

    Raises:
        FrameError: it is not such a frame, or holds too many events.
    """
    head, values = _unpack(frame, _Columns, APPEND_HEAD)
    if len(values) > EVENTS_LIMIT:
        raise FrameError(f"{len(values)} events are over the limit of {EVENTS_LIMIT} in one frame")
    return list(zip(map(head.schemas.__getitem__, head.schema), values, strict=True))


def _pack_append(events: Sequence[Event], values: Sequence[bytes]) -> bytes:
    kinds: dict[type[Event], int] = {}
    schema = [kinds.setdefault(type(event), len(kinds)) for event in events]
    head = {"schemas": list(map(_dataschema, kinds)), "schema": schema, "sizes": list(map(len, values))}
    return frames.pack_encoded(_encode(head), values)


_C = TypeVar("_C", bound=_Columns)


def _unpack(frame: bytes, kind: type[_C], limit: int | None = None) -> tuple[_C, list[bytes]]:
    text, start = frames.unpack_head(frame, limit)
    try:
        head = msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FrameError(f"the head of the frame is not as it should be: {error}") from error
    if len(head.schema) != len(head.sizes):
        raise FrameError("the columns of the frame differ in length")
    if max(head.schema, default=-1) >= len(head.schemas):
        raise FrameError("the frame names a schema that it does not list")
    return head, frames.cut(frame, start, head.sizes)


@cache
def _dataschema(kind: type[Event]) -> str:
    return manifest.latest(kind.__name__).dataschema


def _traced(head: Brief, traceparent: str | None) -> Brief:
    return Brief(head.dataschema, (("traceparent", traceparent.encode()),)) if traceparent else head
