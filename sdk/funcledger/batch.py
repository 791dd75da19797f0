"""Many calls to be submitted together, in the tutorial's form and in today's."""

from collections.abc import Callable
from typing import Any, NamedTuple

from funcledger.errors import InvalidRequest
from funcledger.names import Id, as_id, new_task_id
from funcledger.submission import NewTask, check_serializer, serialise
from funcledger.task_settings import TaskSettings
from funcledger_schemas.ids import new_id


class Call(NamedTuple):
    """One call of a batch; ``endpoint`` is an id or a name, None where the whole batch gets one."""

    endpoint: str | None
    function_id: str
    payload_format: str
    payload: bytes


class Batch(TaskSettings):
    """Calls gathered for one submission; their arguments are serialised as they are added.

    How they are run can be set until they are submitted.
    """

    _fields = TaskSettings._fields | {"task_group_id", "calls"}

    def __init__(
        self,
        task_group_id: Id | None = None,
        serializer: str | None = None,
        **settings: Any,
    ) -> None:
        self.task_group_id = new_id() if task_group_id is None else as_id(task_group_id, "task_group_id")
        self._set(**settings)
        self.calls: list[Call] = []
        self.serializer = serializer

    @property
    def serializer(self) -> str | None:
        """What writes the arguments of calls that are added."""
        return self._serializer

    @serializer.setter
    def serializer(self, serializer: str | None) -> None:
        self._serializer = check_serializer(serializer)

    def __len__(self) -> int:
        return len(self.calls)

    def add(self, *args: Any, **kwargs: Any) -> None:
        """Add one call.

        Either ``add(*args, endpoint_id=, function_id=, **kwargs)``: the arguments are the function's own;
        or ``add(function_id, args=None, kwargs=None)``: the endpoint is named in ``batch_run``.

        Raises:
            InvalidRequest: it is neither.
            SerializationError, ArgumentsTooLarge: naming the argument.
        """
        if "endpoint_id" in kwargs:
            self._add_to_endpoint(args, kwargs)
        else:
            self._add_modern(*args, **kwargs)

    def tasks(self, endpoint: str | None, resolve: Callable[[str], str]) -> list[NewTask]:
        """The calls as tasks with new ids, all for ``endpoint`` if it is given.

        Raises:
            InvalidRequest: there are none, or one has no endpoint.
        """
        if not self.calls:
            raise InvalidRequest("The batch is empty: add calls to it before running it.")
        made = []
        for index, call in enumerate(self.calls):
            where = endpoint or call.endpoint
            if where is None:
                raise InvalidRequest(
                    f"Call {index} of the batch names no endpoint: use batch_run(endpoint_id, batch)."
                )
            made.append(NewTask(new_task_id(), resolve(where), *call[1:], self.options, index))
        return made

    def _add_to_endpoint(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if "function_id" not in kwargs:
            raise InvalidRequest("batch.add(..., endpoint_id=...) also needs function_id=.")
        endpoint, function = kwargs.pop("endpoint_id"), kwargs.pop("function_id")
        self._append(str(endpoint), function, args, kwargs)

    def _add_modern(self, *given: Any, **named: Any) -> None:
        try:
            function_id, args, kwargs = _modern(*given, **named)
        except TypeError:
            raise InvalidRequest(
                "batch.add takes (*args, endpoint_id=, function_id=, **kwargs) "
                "or (function_id, args=None, kwargs=None)."
            ) from None
        self._append(None, function_id, tuple(args or ()), dict(kwargs or {}))

    def _append(self, endpoint: str | None, function_id: Id, args: Any, kwargs: Any) -> None:
        function = as_id(function_id, "function_id")
        self.calls.append(Call(endpoint, function, *serialise(args, kwargs, self._serializer)))


def _modern(function_id: Id, args: Any = None, kwargs: Any = None) -> tuple[Id, Any, Any]:
    return function_id, args, kwargs
