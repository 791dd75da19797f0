"""Records that nobody can read, one of each kind."""

from typing import Any

from tests.support.seeds import seeded
from tests.support.teller import ENDPOINTS, Teller

from funcledger_event_log.records import NewRecord

#: Poison by name, and what its dead letter must say.
REASONS = {
    "random bytes": "not a TaskSubmitted of version 2",
    "no headers": "names no schema",
    "truncated": "not a TaskSubmitted of version 2",
    "empty": "magic byte",
    "bytes left over": "follow the TaskSubmitted",
    "unknown schema": "unknown schema 'urn:funcledger:schema:TaskVanished:2'",
    "wrong key": "is not that of the TaskSubmitted",
    "wrong topic": "a TaskSubmitted does not belong on 'results'",
    "Avro bomb": "not a TaskSubmitted of version 2",
}


def poison() -> dict[str, NewRecord]:
    """A record of each kind."""
    teller = Teller()
    teller.submit(0, 0)
    good = NewRecord.of(teller.records[0].event(), 0)

    def bad(**changes: Any) -> NewRecord:
        fields = {name: getattr(good, name) for name in ("topic", "partition", "key", "head", "value")}
        return NewRecord(**(fields | changes))

    vanished = tuple((name, value.replace(b"Submitted:", b"Vanished:")) for name, value in good.headers)
    return {
        "random bytes": bad(value=b"\x00\x00\x00\x00\x01" + seeded().randbytes(3)),
        "no headers": bad(head=()),
        "truncated": bad(value=good.value[:-4]),
        "empty": bad(value=b""),
        "bytes left over": bad(value=good.value + b"\x00"),
        "unknown schema": bad(head=vanished),
        "wrong key": bad(key=ENDPOINTS[1].encode()),
        "wrong topic": bad(topic="results"),
        "Avro bomb": bad(value=b"\x00\x00\x00\x00\x01" + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
    }
