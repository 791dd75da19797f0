"""Takes in what an agent appends: each event is decoded once, checked, and sealed as it came."""

import hashlib
from collections.abc import Callable
from functools import cache
from math import inf
from operator import attrgetter
from typing import Any, NamedTuple

from funcledger_event_log.direct import DirectEndpointLog
from funcledger_event_log.endpoint_wire import unpack_append
from funcledger_event_log.port import RecordTooLarge
from funcledger_event_log.records import DecodeError, NewRecord
from funcledger_schemas import clock, codec, manifest
from funcledger_schemas.events import Event
from funcledger_schemas.frames import FrameError
from funcledger_schemas.ids import no_id
from funcledger_schemas.limits import NAME_LIMIT, PAYLOAD_LIMIT
from funcledger_schemas.texts import BadText, check_texts

#: Numbers that an agent measures.
_MEASURES = (
    "run_time", "cpu_time", "load", "peak_memory", "attempt", "workers", "busy", "queued", "cores",
    "memory_total", "memory_available",
)  # fmt: skip
#: Other requests have their turn after so many events.
_AT_ONCE = 200


class _Rule(NamedTuple):
    """What is looked at in events of one class."""

    #: Today's schema, and the bytes before a value that is written with it.
    dataschema: str
    prefix: bytes
    #: Whether they carry a payload.
    carries: bool
    #: Fields that are numbers, or null.
    measures: Callable[[Event], tuple[float | None, ...]] | None


@cache
def _rule(kind: type[Event]) -> _Rule:
    entry = manifest.latest(kind.__name__)
    fields = kind.__struct_fields__
    names = [name for name in _MEASURES if name in fields]
    # One name more, so that it gives a tuple in any case.
    measures = attrgetter(*names, names[0]) if names else None
    return _Rule(entry.dataschema, entry.id.to_bytes(4, "big"), "payload" in fields, measures)


async def records_of(frame: bytes, view: DirectEndpointLog) -> list[NewRecord]:
    """The frame's events as records of the endpoint whose view this is.

    Raises:
        FrameError: not a frame, or an event in it cannot be read.
        CredentialRefused: an event that is not this endpoint's to say.
        RecordTooLarge: a payload over the limit.
    """
    records: list[NewRecord] = []
    for index, (dataschema, value) in enumerate(unpack_append(frame)):
        if index and index % _AT_ONCE == 0:
            await clock.sleep(0)
        event = _decoded(index, dataschema, value)
        rule = _rule(type(event))
        if rule.carries:
            _check_payload(index, event)
        if rule.measures is not None and not _are_fit(rule.measures(event)):
            raise FrameError(
                f"event {index} of the frame: {_not_fit(event)} is negative, infinite or no number"
            )
        if len(value) - len(getattr(event, "payload", b"")) > NAME_LIMIT:
            _check_texts(index, event)  # what is shorter holds no text over its limit
        # The bytes can stand on the log as they are: today's schema, and its id before them.
        as_we_write = dataschema == rule.dataschema and value[1:5] == rule.prefix
        records.append(view.seal(event, value if as_we_write else None))
    if (bad := no_id([record.event().event_id for record in records])) is not None:
        raise FrameError(f"event {bad} of the frame: event_id is no UUID in its lower-case form")
    return records


def _decoded(index: int, dataschema: str, value: bytes) -> Event:
    try:
        return codec.decode(value, dataschema)
    except DecodeError as error:
        raise FrameError(f"event {index} of the frame: {error}") from error


def _check_payload(index: int, event: Any) -> None:
    size = len(event.payload)
    if size > PAYLOAD_LIMIT:
        raise RecordTooLarge(
            f"the payload of event {index} has {size} bytes, the limit is {PAYLOAD_LIMIT}; "
            "report a TaskFailed of kind ResultTooLarge instead"
        )
    if event.payload_size != size:
        raise FrameError(f"event {index} of the frame: payload_size is not the size of the payload")
    if event.payload_sha256 != hashlib.sha256(event.payload).hexdigest():
        raise FrameError(f"event {index} of the frame: payload_sha256 is not the hash of the payload")


def _check_texts(index: int, event: Event) -> None:
    try:
        check_texts(event)
    except BadText as error:
        raise FrameError(f"event {index} of the frame: {error}") from error


def _not_fit(event: Event) -> str:
    return next(name for name in _MEASURES if not _are_fit((getattr(event, name, None),)))


def _are_fit(measures: tuple[float | None, ...]) -> bool:
    """Whether each is an amount that JSON and comparisons have a place for."""
    for measured in measures:  # noqa: SIM110 (a generator would take longer than all the rest)
        if measured is not None and not 0 <= measured < inf:
            return False
    return True
