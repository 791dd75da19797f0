"""What can be proved of a record for ever, also once its payload is erased: its entry and its leaf."""

import hashlib
from typing import TypeVar

import msgspec

from funcledger_schemas import codec, manifest
from funcledger_schemas.envelope import Brief, Head, Headers, dataschema_of, spelled_out
from funcledger_schemas.events import Event
from funcledger_schemas.newer import parts_of

AnyEvent = TypeVar("AnyEvent", bound=Event)

#: A leaf and a node of a Merkle tree never hash the same bytes (RFC 6962, section 2.1).
_LEAF = b"\0"


def without_payload(event: AnyEvent) -> AnyEvent:
    """The event with its payload erased: the bytes go, their size and SHA-256 stay."""
    return msgspec.structs.replace(event, payload=b"") if getattr(event, "payload", b"") else event


def entry(key: bytes, head: Head, value: bytes) -> bytes:
    """A record's entry: SHA-256 over key, schema name, headers that do not follow, body before the payload.

    It is the same wherever the record stands, however its headers are stored, whichever registry's id is in
    the value, and before and after the payload is erased; the payload is held by ``payload_sha256``, which is
    covered. Where the value is no event, all of its body and every header are covered. docs/formats.md has
    it byte by byte.

    Raises:
        DecodeError: the value is of a newer schema, so where its payload begins is not known here.
    """
    dataschema = dataschema_of(head) or ""
    extra, body = _covered(head, value, dataschema)
    parts = [
        key,
        dataschema.encode(),
        *(part for name, content in extra for part in (name.encode(), content)),
    ]
    digest = hashlib.sha256(len(extra).to_bytes(4, "big"))
    for part in (*parts, body):
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)
    return digest.digest()


def leaf_hash(entry: bytes) -> bytes:
    """The hash of an entry as a leaf of a Merkle tree (RFC 6962, section 2.1)."""
    return hashlib.sha256(_LEAF + entry).digest()


def _covered(head: Head, value: bytes, dataschema: str) -> tuple[Headers, bytes]:
    try:
        event, body = codec.decode_apart(value, dataschema)
    except codec.DecodeError:
        if _is_newer(dataschema):
            raise
        return head.extra if isinstance(head, Brief) else head, value[codec.PREFIX :]
    return _not_following(head, event), body


def _not_following(head: Head, event: Event) -> Headers:
    """The headers beyond those that the event has by itself; all where these are not as they should be."""
    if isinstance(head, Brief):
        return head.extra
    following = spelled_out(Brief(dataschema_of(head) or ""), event)
    return head[len(following) :] if head[: len(following)] == following else head


def _is_newer(dataschema: str) -> bool:
    try:
        name, version = parts_of(dataschema)
    except codec.DecodeError:
        return False
    known = [entry.version for entry in manifest.entries() if entry.name == name]
    return bool(known) and version > max(known)
