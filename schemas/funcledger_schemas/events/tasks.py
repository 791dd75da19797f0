"""What users ask of tasks: the events of the topic `tasks`."""

from funcledger_schemas.events.base import TaskEvent


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


class TaskCancelRequested(TaskEvent, frozen=True, gc=False):
    """Somebody asked for a task to be cancelled."""
