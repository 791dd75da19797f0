"""The documents of every read model, and which fields find them. Times are append times in milliseconds."""

from dataclasses import dataclass
from typing import Any

import msgspec

#: Payloads up to this many bytes are copied into ``task_results``; larger ones stay on the log.
INLINE_LIMIT = 64 * 1024

#: The values of a model's key fields, in order.
Key = tuple[str, ...]


class Document(msgspec.Struct, kw_only=True, gc=False, array_like=True):
    """What a fold makes of the events about one key."""


class TaskStatus(Document):
    """Where one task stands. The part from ``tasks`` and the part from ``results`` never touch each other."""

    owner: str
    task_id: str
    endpoint_id: str
    batch_id: str
    # from tasks
    function_id: str | None = None
    batch_index: int | None = None
    batch_size: int | None = None
    submitted_at: int | None = None
    submitted_offset: int | None = None
    request_digest: str | None = None
    max_attempts: int | None = None
    deadline: int | None = None
    cancel_requested_at: int | None = None
    conflict: bool = False
    # from results
    attempts: int = 0
    running: bool = False
    started_at: int | None = None
    worker: str | None = None
    outcome_offset: int | None = None
    finished_at: int | None = None
    # from both
    status: str = "received"
    #: When the keeper must look at the task if no agent has ended it; None once it is finished.
    attention_at: int | None = None
    #: Seconds the call took that gave the outcome, as its worker measured them.
    run_time: float | None = None
    #: Events of ``results`` about the task that were read before its submission, and the last one's offset:
    #: they wait as :class:`HeldEvent` and nothing of them is shown. None are left once it is read.
    held: int = 0
    held_until: int = -1


class HeldEvent(Document):
    """An event of ``results`` about a task whose submission was not read yet, under its number of those.

    When its turn has come it is emptied: a store takes no document away, and no copy of a payload is left.
    """

    owner: str
    task_id: str
    endpoint_id: str
    number: str
    partition: int
    offset: int
    timestamp: int
    dataschema: str
    #: The event, without its payload where that is over ``INLINE_LIMIT``; nothing once it was folded.
    value: bytes
    void: bool = False


class TaskResult(Document):
    """The outcome of one task: what get_result needs. Payloads over ``INLINE_LIMIT`` stay on the log."""

    owner: str
    task_id: str
    endpoint_id: str
    batch_id: str
    status: str
    partition: int
    offset: int
    finished_at: int
    attempt: int
    kind: str | None = None
    message: str | None = None
    error_type: str | None = None
    traceback: str | None = None
    run_time: float | None = None
    cpu_time: float | None = None
    peak_memory: int | None = None
    payload_format: str | None = None
    payload_size: int = 0
    #: The bytes, None where they are on the log alone.
    payload: bytes | None = None


class HistoryEntry(msgspec.Struct, kw_only=True, gc=False, array_like=True):
    """One event of a task's history, by its position; ``void`` ones were ignored by every fold."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    type: str
    event_id: str
    void: bool = False


class LeftOut(msgspec.Struct, kw_only=True, gc=False, array_like=True):
    """Events of one topic that a history counts and does not list, with copies; the last one's offset."""

    topic: str
    events: int
    offset: int


class TaskHistory(Document):
    """Positions of the events about one task: those of ``tasks`` by offset, then those of ``results``.

    Of each kind, void or not, the first ``HISTORY_LISTED`` are listed, and the others counted by topic.
    """

    owner: str
    task_id: str
    endpoint_id: str
    entries: list[HistoryEntry]
    left_out: list[LeftOut] = []


class BatchResult(Document):
    """One task as its batch sees it."""

    owner: str
    batch_id: str
    task_id: str
    endpoint_id: str
    batch_index: int | None = None
    batch_size: int | None = None
    submitted_at: int | None = None
    attempts: int = 0
    running: bool = False
    status: str = "received"
    partition: int | None = None
    outcome_offset: int | None = None
    finished_at: int | None = None


class EndpointHealth(Document):
    """What is known of one endpoint; online or offline is computed when asked."""

    endpoint_id: str
    # from endpoints
    name: str | None = None
    owner: str | None = None
    description: str | None = None
    metadata: str | None = None
    public: bool = False
    partition: int | None = None
    registered_at: int | None = None
    deleted: bool = False
    # from results
    epochs: list[int] = []
    instance_id: str | None = None
    host: str | None = None
    platform: str | None = None
    python_version: str | None = None
    agent_version: str | None = None
    engine: str | None = None
    started_workers: int | None = None
    started_at: int | None = None
    stopped_epoch: int | None = None
    stop_reason: str | None = None
    # from heartbeats
    heartbeat_at: int | None = None
    heartbeat_epoch: int | None = None
    #: Ids of the last few heartbeats, so that a copy of one is no sign of life (law 3).
    heartbeat_ids: list[str] = []
    workers: int | None = None
    busy: int | None = None
    queued: int | None = None
    cores: int | None = None
    memory_total: int | None = None
    memory_available: int | None = None
    load: float | None = None


class FunctionEntry(Document):
    """One function in the catalogue, without its body."""

    function_id: str
    owner: str
    name: str
    description: str | None
    metadata: str | None
    public: bool
    group: str | None
    python_version: str
    dill_version: str
    payload_sha256: str
    payload_size: int
    partition: int
    offset: int
    registered_at: int
    deleted: bool = False


class Access(Document):
    """Who may use one function or endpoint."""

    kind: str
    resource_id: str
    owner: str
    public: bool
    users: list[str] = []
    groups: list[str] = []
    deleted: bool = False
    #: Ids of the last events that shared it or ceased to, so that a copy of one changes nothing (law 3).
    changes: list[str] = []
    #: Public and not deleted: whoever looks for what is public passes over nothing else.
    listed: bool = False


class Grant(Document):
    """Whether one function or endpoint is shared with one user or group, its ``scope``."""

    scope: str
    resource_id: str
    open: bool = False
    #: As in :class:`Access`.
    changes: list[str] = []


def scope(kind: str, grantee_kind: str, grantee: str) -> str:
    """What a user ("user") or group ("group") was given of functions or endpoints (``kind``), as a key."""
    return f"{kind}/{grantee_kind}/{grantee}"


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A read model: its name, its documents' type, the fields that key it and those that filter it."""

    name: str
    type: type[Document]
    key: tuple[str, ...]
    filters: tuple[str, ...] = ()
    #: A field holding when a document needs attention; indexed where it is not None.
    due: str | None = None

    def key_of(self, document: Document) -> Key:
        """The document's key."""
        return tuple(getattr(document, name) for name in self.key)


_TASK = ("owner", "task_id", "endpoint_id")
TASK_STATUS = Model(
    "task_status",
    TaskStatus,
    _TASK,
    ("status", "task_id", "endpoint_id", "function_id", "batch_id"),
    "attention_at",
)
HELD_EVENTS = Model("held_events", HeldEvent, (*_TASK, "number"))
TASK_RESULTS = Model("task_results", TaskResult, _TASK)
TASK_HISTORY = Model("task_history", TaskHistory, _TASK)
BATCH_RESULTS = Model(
    "batch_results", BatchResult, ("owner", "batch_id", "task_id", "endpoint_id"), ("status",)
)
ENDPOINT_HEALTH = Model("endpoint_health", EndpointHealth, ("endpoint_id",), ("owner", "name"))
FUNCTION_CATALOGUE = Model("function_catalogue", FunctionEntry, ("function_id",), ("owner", "name", "public"))
ACCESS = Model("access", Access, ("kind", "resource_id"), ("owner", "listed"))
GRANTS = Model("grants", Grant, ("scope", "resource_id"), ("open",))
MODELS: tuple[Model, ...] = (
    TASK_STATUS, TASK_RESULTS, TASK_HISTORY, BATCH_RESULTS, ENDPOINT_HEALTH, FUNCTION_CATALOGUE, ACCESS,
    GRANTS, HELD_EVENTS,
)  # fmt: skip


def plain(document: Document) -> dict[str, Any]:
    """The document as plain values."""
    return msgspec.structs.asdict(document)
