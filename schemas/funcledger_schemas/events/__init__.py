"""Every event as a typed, immutable class; the .avsc files beside them are the facts."""

from funcledger_schemas.events.base import Event, TaskEvent
from funcledger_schemas.events.endpoints import (
    EndpointDeleted,
    EndpointHeartbeat,
    EndpointRegistered,
    EndpointShared,
    EndpointUnshared,
)
from funcledger_schemas.events.functions import (
    FunctionDeleted,
    FunctionRegistered,
    FunctionShared,
    FunctionUnshared,
)
from funcledger_schemas.events.operations import (
    AccessRefused,
    RecordDeadLettered,
)
from funcledger_schemas.events.results import (
    EndpointStarted,
    EndpointStopped,
    TaskAttemptFailed,
    TaskCancelled,
    TaskCompleted,
    TaskFailed,
    TaskStarted,
)
from funcledger_schemas.events.tasks import (
    TaskCancelRequested,
    TaskSubmitted,
)

__all__ = [
    "AccessRefused",
    "EndpointDeleted",
    "EndpointHeartbeat",
    "EndpointRegistered",
    "EndpointShared",
    "EndpointStarted",
    "EndpointStopped",
    "EndpointUnshared",
    "Event",
    "FunctionDeleted",
    "FunctionRegistered",
    "FunctionShared",
    "FunctionUnshared",
    "RecordDeadLettered",
    "TaskAttemptFailed",
    "TaskCancelRequested",
    "TaskCancelled",
    "TaskCompleted",
    "TaskEvent",
    "TaskFailed",
    "TaskStarted",
    "TaskSubmitted",
]
