"""What can still be proved of a record once its payload is erased: everything but the payload's bytes."""

import hashlib
from typing import TypeVar

import msgspec

from funcledger_schemas import codec
from funcledger_schemas.envelope import Headers, header
from funcledger_schemas.events import Event

AnyEvent = TypeVar("AnyEvent", bound=Event)

#: A leaf and a node of a Merkle tree never hash the same bytes (RFC 9162, section 2.1.1).
_LEAF = b"\0"


def without_payload(event: AnyEvent) -> AnyEvent:
    """The event with its payload erased: the bytes go, their size and SHA-256 stay."""
    return msgspec.structs.replace(event, payload=b"") if getattr(event, "payload", b"") else event


def leaf_hash(key: bytes, headers: Headers, value: bytes) -> bytes:
    """SHA-256 over a record's key, headers and value, without payload bytes and the 5-byte schema prefix.

    So it stays when the payload is erased or a registry's id is written; the payload itself is held by
    ``payload_sha256``, which is covered. Each part is preceded by its length, 4 bytes big-endian.

    Raises:
        DecodeError: the value cannot be read, so where its payload begins is not known.
    """
    parts = [key, *(part for name, content in headers for part in (name.encode(), content))]
    covered = codec.before_payload(value, header(headers, "ce_dataschema") or "")
    digest = hashlib.sha256(_LEAF + len(headers).to_bytes(4, "big"))
    for part in (*parts, covered):
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)
    return digest.digest()
