"""What becomes of tasks: the events of the topic `results`, in the order of the endpoint's partition."""

from funcledger_schemas.events.base import Event, TaskEvent


class EndpointStarted(Event, frozen=True, gc=False):
    """An agent took over its endpoint.

    The offset of this record is the agent's epoch, if it supersedes the current one.
    """

    endpoint_id: str
    instance_id: str
    supersedes: int
    host: str
    platform: str
    python_version: str
    agent_version: str
    engine: str
    workers: int
    distributions_sha256: str


class EndpointStopped(Event, frozen=True, gc=False):
    """An agent left its endpoint in good order."""

    endpoint_id: str
    instance_id: str
    reason: str
    epoch: int | None


class TaskStarted(TaskEvent, frozen=True, gc=False):
    """A worker has begun the call."""

    epoch: int | None
    attempt: int
    worker: str


class TaskAttemptFailed(TaskEvent, frozen=True, gc=False):
    """An attempt ended without an outcome of the call.

    Not terminal: the task is tried again, or its TaskFailed follows.
    """

    epoch: int | None
    attempt: int
    kind: str
    message: str
    will_retry: bool


class TaskCompleted(TaskEvent, frozen=True, gc=False):
    """The call returned. Terminal, if it is the first outcome in the partition."""

    epoch: int | None
    attempt: int
    run_time: float | None
    cpu_time: float | None
    peak_memory: int | None
    payload_format: str
    payload_sha256: str
    payload_size: int
    payload: bytes


class TaskFailed(TaskEvent, frozen=True, gc=False):
    """The task failed. Terminal, if it is the first outcome in the partition."""

    epoch: int | None
    attempt: int
    kind: str
    message: str
    error_type: str | None
    traceback: str | None
    run_time: float | None
    cpu_time: float | None
    peak_memory: int | None
    payload_format: str | None
    payload_sha256: str
    payload_size: int
    payload: bytes


class TaskCancelled(TaskEvent, frozen=True, gc=False):
    """The task was cancelled. Terminal, if it is the first outcome in the partition."""

    epoch: int | None
    attempt: int
    reason: str
