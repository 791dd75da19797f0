"""What becomes of tasks: the events of the topic `results`, in the order of the endpoint's partition."""

from funcledger_schemas.events.base import Event, TaskEvent
from funcledger_schemas.events.parts import OutputTotals, TaskKey


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
    worker_python_version: str | None = None
    worker_implementation: str | None = None
    accepted_formats: tuple[str, ...] | None = None
    scheduler: str | None = None


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
    submission: int | None = None
    host: str | None = None
    block: str | None = None
    job: str | None = None
    environment_sha256: str | None = None


class TaskAttemptFailed(TaskEvent, frozen=True, gc=False):
    """An attempt ended without an outcome of the call.

    Not terminal: the task is tried again, or its TaskFailed follows.
    """

    epoch: int | None
    attempt: int
    kind: str
    message: str
    will_retry: bool
    submission: int | None = None


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
    submission: int | None = None
    reused_from: TaskKey | None = None
    output: OutputTotals | None = None
    payload_code: str | None = None
    payload_object: str | None = None


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
    submission: int | None = None
    caused_by: TaskKey | None = None
    rerouted_to: str | None = None
    output: OutputTotals | None = None
    payload_code: str | None = None
    payload_object: str | None = None


class TaskCancelled(TaskEvent, frozen=True, gc=False):
    """The task was cancelled. Terminal, if it is the first outcome in the partition."""

    epoch: int | None
    attempt: int
    reason: str
    submission: int | None = None
    output: OutputTotals | None = None


class EndpointEnvironment(Event, frozen=True, gc=False):
    """What is installed where an endpoint's workers run, once for each environment.

    An EndpointStarted or TaskStarted names it by its hash.
    """

    endpoint_id: str
    epoch: int | None
    environment_sha256: str
    implementation: str
    python_version: str
    platform: str
    payload_format: str
    payload_sha256: str
    payload_size: int
    payload: bytes
