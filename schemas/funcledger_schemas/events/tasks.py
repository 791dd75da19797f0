"""What is asked of tasks (topic `tasks`), and what they write while they run (topic `streams`)."""

from funcledger_schemas.events.base import TaskEvent
from funcledger_schemas.events.parts import Dependency, EndedDependency, TaskKey


class TaskSubmitted(TaskEvent, frozen=True, gc=False):
    """A task was submitted."""

    batch_size: int | None
    batch_index: int | None
    function_id: str
    function_hash: str
    request_digest: str
    walltime: float | None
    max_attempts: int
    expires_in: int
    resource_specification: str | None
    endpoint_config: str | None
    payload_format: str
    payload_sha256: str
    payload_size: int
    payload: bytes
    by_token: str | None = None
    accepted_formats: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None
    priority: int | None = None
    dependencies: tuple[Dependency, ...] | None = None
    alternatives: tuple[str, ...] | None = None
    rerouted_from: str | None = None
    rerun_of: TaskKey | None = None
    reuse: bool | None = None
    payload_code: str | None = None
    payload_object: str | None = None


class TaskCancelRequested(TaskEvent, frozen=True, gc=False):
    """Somebody asked for a task to be cancelled."""

    by_token: str | None = None


class TaskReleased(TaskEvent, frozen=True, gc=False):
    """Every task that a task waits for has ended; it may be started."""

    submission: int
    outcomes: tuple[EndedDependency, ...]


class TaskStreamed(TaskEvent, frozen=True, gc=False):
    """A task wrote output, yielded items, or reported progress."""

    submission: int
    epoch: int | None
    attempt: int
    channel: str
    position: int
    sizes: tuple[int, ...]
    payload_format: str
    payload_sha256: str
    payload_size: int
    payload: bytes
