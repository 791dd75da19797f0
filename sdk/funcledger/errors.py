"""Every error the SDK raises, :class:`ComputeError` at the root; messages say what to do."""

from funcledger_payloads.errors import (
    ComputeError,
    DeserializationError,
    RemoteTraceback,
    SerializationError,
    TaskExecutionFailed,
    VersionMismatch,
)


class TaskPending(ComputeError, TimeoutError):
    """The task has no outcome yet."""


class TaskCancelled(ComputeError):
    """The task was cancelled, so there is no value."""


class TaskLost(TaskExecutionFailed):
    """The task's worker or agent was lost, and it may not be tried again."""


class WorkerDied(TaskExecutionFailed):
    """The task killed its worker each time it was tried."""


class LimitExceeded(TaskExecutionFailed):
    """The task, with all it had started, took more memory or had more processes than it was allowed."""


class WalltimeExceeded(TaskExecutionFailed):
    """The task ran longer than it was allowed to."""


class TaskExpired(TaskExecutionFailed):
    """No endpoint ran the task before its time was over."""


class ClientClosed(ComputeError, RuntimeError):
    """The client has been closed, so it asks the server for nothing more."""

    def __init__(self, message: str = "The client has been closed: make a new Client().") -> None:
        super().__init__(message)


class PayloadTooLarge(ComputeError):
    """Something serialised is over the limit; the message has both numbers, in bytes."""


class ArgumentsTooLarge(PayloadTooLarge):
    """A task's arguments are over the limit."""


class FunctionTooLarge(PayloadTooLarge):
    """A function is over the limit."""


class ResultTooLarge(PayloadTooLarge):
    """A task's result is over the limit."""


class RequestError(ComputeError):
    """The server refused a request; the message is its sentence.

    ``slug`` is the kind of problem, ``problem`` the whole document (RFC 9457), where there is one.
    """

    slug: str | None = None
    problem: dict[str, object] | None = None


class InvalidRequest(RequestError, ValueError):
    """A request makes no sense as it stands."""


class Conflict(RequestError):
    """A request contradicts what is already there."""


class NotFound(RequestError, LookupError):
    """What was named does not exist, or is not yours to see."""


class TaskNotFound(NotFound):
    """There is no such task."""


class BatchNotFound(NotFound):
    """There is no such batch."""


class FunctionNotFound(NotFound):
    """There is no such function."""


class EndpointNotFound(NotFound):
    """There is no such endpoint."""


class PermissionDenied(RequestError):
    """You may not do that."""


class Unauthenticated(RequestError):
    """The token is missing or is not one the server knows."""


class ServiceUnavailable(RequestError):
    """The server cannot be reached or cannot answer now; nothing is lost by trying again later."""


class TooManyRequests(ServiceUnavailable):
    """The server asks for a pause; the SDK makes it and tries again, so this shows after a timeout alone."""


class BacklogFull(TooManyRequests):
    """The endpoint has as many unfinished tasks as it may; nothing of the submission was taken."""


__all__ = [
    "ArgumentsTooLarge",
    "BacklogFull",
    "BatchNotFound",
    "ClientClosed",
    "ComputeError",
    "Conflict",
    "DeserializationError",
    "EndpointNotFound",
    "FunctionNotFound",
    "FunctionTooLarge",
    "InvalidRequest",
    "LimitExceeded",
    "NotFound",
    "PayloadTooLarge",
    "PermissionDenied",
    "RemoteTraceback",
    "RequestError",
    "ResultTooLarge",
    "SerializationError",
    "ServiceUnavailable",
    "TaskCancelled",
    "TaskExecutionFailed",
    "TaskExpired",
    "TaskLost",
    "TaskNotFound",
    "TaskPending",
    "TooManyRequests",
    "Unauthenticated",
    "VersionMismatch",
    "WalltimeExceeded",
    "WorkerDied",
]
