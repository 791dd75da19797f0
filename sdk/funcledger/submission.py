"""Tasks on their way to the server: checked against the limit, packed many to a request."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from funcledger.errors import ArgumentsTooLarge, InvalidRequest
from funcledger_payloads import code_of, dump, dump_arguments, dump_json, with_function
from funcledger_payloads.arguments import Dump
from funcledger_schemas import tracing
from funcledger_schemas.frames import pack
from funcledger_schemas.limits import BODY_LIMIT, PAYLOAD_LIMIT
from funcledger_schemas.sizes import parse_size

if TYPE_CHECKING:
    from funcledger.transport import Transport

#: Most tasks in one request, and most bytes of their arguments; the head takes some of the body too.
MOST_TASKS = 1000
MOST_BYTES = BODY_LIMIT - 4 * 1024 * 1024


#: Where a task's limit on memory stands in its resource specification, in bytes.
MEMORY_LIMIT = "memory_limit"


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """How tasks are to be run: ``walltime`` and ``expires_in`` in seconds; None leaves it to the server."""

    walltime: float | None = None
    max_attempts: int | None = None
    expires_in: int | None = None
    resource_specification: dict[str, Any] | None = field(default=None, hash=False)
    endpoint_config: dict[str, Any] | None = field(default=None, hash=False)

    def fields(self) -> dict[str, Any]:
        """What the request says of them."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}


DEFAULT = TaskOptions()


def resources(specification: dict[str, Any] | None, memory: int | str | None) -> dict[str, Any] | None:
    """A task's resource specification with its limit on memory: bytes, or a size such as "2GB".

    Raises:
        InvalidRequest: it is not a size.
    """
    if memory is None:
        return specification
    try:
        return {**(specification or {}), MEMORY_LIMIT: parse_size(memory)}
    except ValueError as error:
        raise InvalidRequest(f"memory: {error}.") from None


class NewTask(NamedTuple):
    """One call to be submitted."""

    task_id: str
    endpoint_id: str
    function_id: str
    payload_format: str
    payload: bytes
    options: TaskOptions = DEFAULT
    batch_index: int | None = None


#: What ``serializer`` may be: who writes code (None takes cloudpickle, and dill where that cannot), or JSON,
#: which other languages read.
_WRITERS: dict[str | None, Dump] = {
    None: dump,
    "cloudpickle": partial(dump, serializer="cloudpickle"),
    "dill": partial(dump, serializer="dill"),
    "json": dump_json,
}


def check_serializer(serializer: str | None, *, code: bool = False) -> str | None:
    """The serializer, if there is one of this name; with ``code``, one that writes functions.

    Raises:
        InvalidRequest: there is none.
    """
    names = [name for name in _WRITERS if name != "json" or not code]
    if serializer not in names:
        known = ", ".join(repr(name) for name in names if name)
        raise InvalidRequest(f"There is no serializer {serializer!r}: use one of {known}, or None.")
    return serializer


def serialise(
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    serializer: str | None = None,
    function: bytes | None = None,
) -> tuple[str, bytes]:
    """A call's arguments as (format, bytes), with the function's form where that differs from the registered.

    Raises:
        SerializationError: naming the argument.
        ArgumentsTooLarge: with both numbers.
    """
    payload_format, payload = dump_arguments(args, kwargs, _WRITERS[serializer])
    if function is not None:
        payload_format, payload = with_function(function, payload_format, payload)
    if len(payload) > PAYLOAD_LIMIT:
        what = "arguments take" if function is None else "arguments and what the function refers to take"
        raise ArgumentsTooLarge(
            f"The {what} {len(payload):,} bytes when serialised, the limit is {PAYLOAD_LIMIT:,}. "
            "Put the data where the endpoint can read it and send its path."
        )
    return payload_format, payload


def submit(
    transport: "Transport", batch_id: str, tasks: Sequence[NewTask], batch_size: int | None = None
) -> None:
    """Submit the tasks in few requests; each is accepted whole or not at all."""
    for part in parts(tasks):
        send(transport, batch_id, part, batch_size)


def send(
    transport: "Transport",
    batch_id: str,
    tasks: Sequence[NewTask],
    batch_size: int | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """One request; ``sleep`` is called for the pauses that the server asks for."""
    groups = grouped(tasks)
    for group in groups:
        _check_known(transport, group[0].options)
    names_code = any(code_of(group[0].payload_format, group[0].payload) for group in groups)
    names_code = names_code and "payload_code" in transport.task_fields()
    heads = [_head(group, names_code=names_code) for group in groups]
    head = {"batch_id": batch_id, "batch_size": batch_size, "groups": heads}
    frame = pack(head, [task.payload for group in groups for task in group])
    began = time.time_ns()
    answer = transport.request("POST", "/v1/tasks", frame=frame, sleep=sleep)
    if (spans := tracing.spans) is not None:
        spans.hop("submit", [task.task_id for task in tasks], began, time.time_ns())
    transport.seen.merge(answer.json().get("position"))


def _check_known(transport: "Transport", options: TaskOptions) -> None:
    """Options that are set must be known to the server, which may be older than this SDK."""
    unknown = options.fields().keys() - transport.task_fields() if options != DEFAULT else ()
    if unknown:
        raise InvalidRequest(
            f"This server does not know {', '.join(sorted(unknown))}: leave that out or upgrade it."
        )


def parts(tasks: Iterable[NewTask]) -> Iterator[list[NewTask]]:
    """The tasks in order, cut where a request would become too long."""
    part: list[NewTask] = []
    size = 0
    for task in tasks:
        if part and (len(part) == MOST_TASKS or size + len(task.payload) > MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(task)
        size += len(task.payload)
    if part:
        yield part


def grouped(tasks: Sequence[NewTask]) -> list[list[NewTask]]:
    """The tasks by what they have in common, each group in order, groups by their first task."""
    groups: dict[tuple[Any, ...], list[NewTask]] = {}
    for task in tasks:
        code = code_of(task.payload_format, task.payload)
        key = (task.endpoint_id, task.function_id, task.payload_format, code, id(task.options))
        groups.setdefault(key, []).append(task)
    return list(groups.values())


def _head(group: Sequence[NewTask], *, names_code: bool) -> dict[str, Any]:
    first = group[0]
    head = {
        "endpoint_id": first.endpoint_id,
        "function_id": first.function_id,
        "payload_format": first.payload_format,
        "task_ids": [task.task_id for task in group],
        "sizes": [len(task.payload) for task in group],
        **first.options.fields(),
    }
    if names_code and (code := code_of(first.payload_format, first.payload)) is not None:
        head["payload_code"] = code
    if first.batch_index is not None:
        head["batch_indexes"] = [task.batch_index for task in group]
    return head
