"""Takes in what an agent appends: each event is decoded once, checked, and sealed as it came."""

import math
from functools import cache

from funcledger_event_log.direct import DirectEndpointLog
from funcledger_event_log.endpoint_wire import Encoded, unpack_append
from funcledger_event_log.port import RecordTooLarge
from funcledger_event_log.records import DecodeError, NewRecord
from funcledger_schemas import clock, codec, manifest
from funcledger_schemas.events import Event
from funcledger_schemas.frames import FrameError
from funcledger_schemas.limits import PAYLOAD_LIMIT

#: Other requests have their turn after so many events.
_AT_ONCE = 200


async def records_of(frame: bytes, view: DirectEndpointLog) -> list[NewRecord]:
    """The frame's events as records of the endpoint whose view this is.

    Raises:
        FrameError: not a frame, or an event in it cannot be read.
        CredentialRefused: an event that is not this endpoint's to say.
        RecordTooLarge: a payload over the limit.
    """
    records = []
    for index, encoded in enumerate(unpack_append(frame)):
        if index and index % _AT_ONCE == 0:
            await clock.sleep(0)
        event = _decoded(index, encoded)
        _check_payload(index, event)
        _check_measures(index, event)
        records.append(view.seal(event, encoded.value if _as_we_write(encoded, type(event)) else None))
    return records


def _decoded(index: int, encoded: Encoded) -> Event:
    try:
        return codec.decode(encoded.value, encoded.dataschema)
    except DecodeError as error:
        raise FrameError(f"event {index} of the frame: {error}") from error


def _check_payload(index: int, event: Event) -> None:
    payload = getattr(event, "payload", b"")
    if len(payload) > PAYLOAD_LIMIT:
        raise RecordTooLarge(
            f"the payload of event {index} has {len(payload)} bytes, the limit is {PAYLOAD_LIMIT}; "
            "report a TaskFailed of kind ResultTooLarge instead"
        )
    if getattr(event, "payload_size", len(payload)) != len(payload):
        raise FrameError(f"event {index} of the frame: payload_size is not the size of the payload")


def _check_measures(index: int, event: Event) -> None:
    """Refuse what is no number, for which neither JSON nor a comparison has a place."""
    for name in ("run_time", "cpu_time", "load"):
        measured = getattr(event, name, None)
        if measured is not None and not math.isfinite(measured):
            raise FrameError(f"event {index} of the frame: {name} is {measured}, which is no measure")


def _as_we_write(encoded: Encoded, kind: type[Event]) -> bool:
    """Whether the bytes can stand on the log as they are: today's schema, and its id before them."""
    entry = _latest(kind)
    return encoded.dataschema == entry.dataschema and encoded.value[1:5] == entry.id.to_bytes(4, "big")


@cache
def _latest(kind: type[Event]) -> manifest.Entry:
    return manifest.latest(kind.__name__)
