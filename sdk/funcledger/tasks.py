"""One task as a user reads it: its status, its outcome, and the tutorial's ``pending``."""

from collections.abc import Callable, Mapping
from typing import Any

from funcledger import errors
from funcledger_payloads import ExceptionPayload, load, load_exception

_ERRORS: dict[str | None, type[errors.ComputeError]] = {
    "TaskLost": errors.TaskLost,
    "WorkerDied": errors.WorkerDied,
    "WalltimeExceeded": errors.WalltimeExceeded,
    "LimitExceeded": errors.LimitExceeded,
    "Expired": errors.TaskExpired,
    "ResultTooLarge": errors.ResultTooLarge,
    "VersionMismatch": errors.VersionMismatch,
    "ResultNotSerializable": errors.SerializationError,
    "FunctionNotLoaded": errors.DeserializationError,
    "ArgumentsNotLoaded": errors.DeserializationError,
}
_DETAILS = (
    "endpoint_id", "function_id", "function_name", "batch_id", "batch_index", "attempts", "kind",
    "error_type", "message", "submitted_at", "started_at", "finished_at", "run_time", "cpu_time",
    "peak_memory", "cancel_requested", "conflict",
)  # fmt: skip
#: What a status says of each detail that the server left out.
_ABSENT = dict.fromkeys(_DETAILS) | {"cancel_requested": False, "conflict": False}


class Pending(str):
    """Whether a task is unfinished: true or false, and equal to 'True' or 'False' as in the tutorial."""

    __slots__ = ("_pending",)
    _pending: bool

    def __new__(cls, pending: bool) -> "Pending":
        """The text of ``pending``."""
        self = super().__new__(cls, pending)
        self._pending = pending
        return self

    def __bool__(self) -> bool:
        return self._pending

    def __eq__(self, other: object) -> bool:
        return self._pending == other if isinstance(other, bool) else super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__
    __repr__ = str.__str__

    def __reduce__(self) -> tuple[type["Pending"], tuple[bool]]:
        return Pending, (self._pending,)


#: What only an outcome tells.
_OF_OUTCOME = frozenset({"result", "exception", "completion_t"})


class TaskInfo(dict[str, Any]):
    """A task's status; ``pending`` is a :class:`Pending`, and a boolean in JSON.

    It says how things stood when it was asked for. Whoever reads ``info["result"]`` of a task that was
    unfinished in a batch then waits for it; ``in``, ``get`` and all else say what is known.
    """

    #: Waits for the outcome, which it adds here; None where nothing is to be waited for.
    later: Callable[[], None] | None = None

    def __missing__(self, key: str) -> Any:
        if key in _OF_OUTCOME and self.later is not None:
            self.later()
            return self[key]
        raise KeyError(key)

    def __reduce__(self) -> tuple[type["TaskInfo"], tuple[dict[str, Any]]]:
        return TaskInfo, (dict(self),)

    def items(self) -> Any:
        """The pairs, as the json module asks for them."""
        return {
            key: bool(value) if isinstance(value, Pending) else value for key, value in super().items()
        }.items()


def is_finished(task: Mapping[str, Any]) -> bool:
    """Whether the server's status of a task has an outcome."""
    return task["status"] in ("success", "failed", "cancelled")


def info(task: Mapping[str, Any], payload: bytes | None = None) -> TaskInfo:
    """The server's status of a task as the user reads it; times in ms since 1970, durations in seconds.

    With a payload (empty where there is none) it holds ``result`` or ``exception`` once the task is
    finished, and ``completion_t`` in seconds since 1970.
    """
    finished = is_finished(task)
    details = _ABSENT | {name: task[name] for name in _DETAILS if name in task}
    shown = TaskInfo(task_id=task["task_id"], status=task["status"], pending=Pending(not finished), **details)
    if finished:
        shown["completion_t"] = task["finished_at"] / 1000 if task.get("finished_at") else None
    if finished and payload is not None:
        error = error_of(task, payload)
        if error is None:
            try:
                shown["result"] = value_of(task, payload)
            except (errors.DeserializationError, errors.VersionMismatch) as unread:
                error = unread
        if error is not None:
            shown["exception"] = error
    shown["details"] = details
    return shown


def outcome(task: Mapping[str, Any], payload: bytes) -> Any:
    """The value of a finished task.

    Raises:
        Exception: the task's own, its remote traceback as the cause.
    """
    error = error_of(task, payload)
    if error is not None:
        raise error
    return value_of(task, payload)


def value_of(task: Mapping[str, Any], payload: bytes) -> Any:
    """The value of a task that succeeded.

    Raises:
        DeserializationError: it cannot be read here.
        VersionMismatch: it holds code of another Python.
    """
    return load(task["payload_format"], payload, "the result of task", task["task_id"])


def error_of(task: Mapping[str, Any], payload: bytes) -> Exception | None:
    """What a finished task raises; None when it succeeded."""
    if task["status"] == "success":
        return None
    message, kind = task.get("message") or "", task.get("kind")
    if task["status"] == "cancelled":
        return errors.TaskCancelled(message or f"The task {task['task_id']} was cancelled.")
    trace = task.get("traceback") or ""
    kind_of_error = _ERRORS.get(kind)
    if kind_of_error is None:
        name = task.get("error_type") or kind or "failed"
        raised = load_exception(ExceptionPayload(name, message, trace, task.get("payload_format"), payload))
        if isinstance(raised, ModuleNotFoundError):
            raised.msg = message  # says where it is missing, which the function could not
        return raised
    error = kind_of_error(message or kind)
    error.__cause__ = errors.RemoteTraceback(trace) if trace else None
    return error
