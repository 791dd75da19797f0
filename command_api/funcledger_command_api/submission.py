"""Tasks on their way to the log: columns of a group, checked against the catalogue, made into records."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from funcledger_command_api.bodies import payload_too_large
from funcledger_command_api.models import Terms, settings_text
from funcledger_command_api.recent import Key
from funcledger_event_log.records import NewRecord
from funcledger_schemas import tracing
from funcledger_schemas.envelope import Headers
from funcledger_schemas.events import TaskSubmitted
from funcledger_schemas.ids import new_id
from funcledger_schemas.limits import PAYLOAD_LIMIT
from funcledger_web.auth import Principal
from funcledger_web.catalogue import Endpoint, Function


@dataclass(slots=True)
class Batch:
    """What all tasks of a request share."""

    who: Principal
    batch_id: str
    size: int | None
    occurred_at: int
    extra: Headers


@dataclass(slots=True)
class Lot:
    """Tasks that share their terms: columns of equal length. ``hashes`` are the payloads' SHA-256."""

    terms: Terms
    task_ids: Sequence[str]
    indexes: Sequence[int | None]
    payloads: Sequence[bytes]
    hashes: Sequence[str] = ()
    digests: Sequence[str] = ()

    def check_sizes(self) -> None:
        """Law 12.

        Raises:
            Problem: 413, naming the first task whose arguments are too large.
        """
        for task_id, payload in zip(self.task_ids, self.payloads, strict=True):
            if len(payload) > PAYLOAD_LIMIT:
                raise payload_too_large(f"The arguments of task {task_id}", len(payload))

    def size(self) -> int:
        """Bytes of all payloads."""
        return sum(map(len, self.payloads))

    def settings_size(self) -> int:
        """Bytes of the settings that every record of the lot repeats."""
        terms = self.terms
        return sum(
            len(settings_text(each) or "") for each in (terms.resource_specification, terms.endpoint_config)
        )

    def digest(self, batch: Batch) -> None:
        """Fill in ``hashes`` and ``digests``; a pure pass over bytes that may run in a thread."""
        self.hashes = [hashlib.sha256(payload).hexdigest() for payload in self.payloads]
        asked = [batch.batch_id, batch.size, *_asked(self.terms)]
        common = hashlib.sha256(json.dumps(asked, separators=(",", ":")).encode())
        self.digests = [
            _digest(common, index, payload) for index, payload in zip(self.indexes, self.hashes, strict=True)
        ]

    def keys(self, who: Principal) -> list[Key]:
        """Every task's key."""
        endpoint_id, owner = self.terms.endpoint_id, who.id
        return [(endpoint_id, owner, task_id) for task_id in self.task_ids]


#: Terms of the first release; its servers hash them all, null or not. The endpoint is in the task's key.
_FIRST = frozenset({
    "endpoint_id", "function_id", "payload_format", "walltime", "max_attempts", "expires_in",
    "resource_specification", "endpoint_config",
})  # fmt: skip
#: Options that came later.
_LATER = tuple(sorted(Terms.model_fields.keys() - _FIRST))


def _asked(terms: Terms) -> list[object]:
    """The terms as they count for the digest of a request.

    A later option that is absent counts as nothing, so that servers of two releases agree on a request that
    both understand: else a retry that another server takes would be a conflict.
    """
    later = {name: value for name in _LATER if (value := getattr(terms, name)) is not None}
    return [*_first(terms), later] if later else _first(terms)


def _first(terms: Terms) -> list[object]:
    return [
        terms.function_id,
        terms.payload_format,
        terms.walltime,
        terms.max_attempts,
        terms.expires_in,
        settings_text(terms.resource_specification),
        settings_text(terms.endpoint_config),
    ]


def _digest(common: "hashlib._Hash", index: int | None, payload_sha256: str) -> str:
    each = common.copy()
    each.update(f"{index}:{payload_sha256}".encode())
    return each.hexdigest()


def records(lot: Lot, batch: Batch, function: Function, endpoint: Endpoint) -> Iterator[NewRecord]:
    """The records of a lot's TaskSubmitted events, one after the other."""
    terms, owner, actor = lot.terms, batch.who.id, batch.who.actor
    resources, settings = settings_text(terms.resource_specification), settings_text(terms.endpoint_config)
    spans = tracing.spans
    # What a lot has in common: to make one of another takes a fifth of what naming all takes.
    alike = TaskSubmitted(
        event_id="",
        occurred_at=batch.occurred_at,
        actor=actor,
        endpoint_id=terms.endpoint_id,
        owner=owner,
        task_id="",
        batch_id=batch.batch_id,
        batch_size=batch.size,
        batch_index=None,
        function_id=terms.function_id,
        function_hash=function.content_hash,
        request_digest="",
        walltime=terms.walltime,
        max_attempts=terms.max_attempts,
        expires_in=terms.expires_in,
        resource_specification=resources,
        endpoint_config=settings,
        payload_format=terms.payload_format,
        payload_sha256="",
        payload_size=0,
        payload=b"",
        payload_code=terms.payload_code,
    )
    columns = zip(lot.task_ids, lot.indexes, lot.payloads, lot.hashes, lot.digests, strict=True)
    for task_id, index, payload, payload_sha256, digest in columns:
        event = replace(
            alike,
            event_id=new_id(),
            task_id=task_id,
            batch_index=index,
            request_digest=digest,
            payload_sha256=payload_sha256,
            payload_size=len(payload),
            payload=payload,
        )
        extra = batch.extra if spans is None else batch.extra or spans.headers(task_id)
        yield NewRecord.of(event, endpoint.partition, extra)
