"""What a client can be asked about tasks."""

from collections.abc import Iterable, Sequence
from typing import Any

from funcledger.batch import Batch
from funcledger.calls.connection import Connection
from funcledger.errors import InvalidRequest
from funcledger.names import Id, as_id, new_task_id
from funcledger.submission import NewTask, serialise, submit
from funcledger.task_settings import either, refuse
from funcledger.tasks import TaskInfo, info
from funcledger_schemas.ids import new_id


class TaskCalls(Connection):
    """Submit tasks, wait for them, read and cancel them."""

    def run(self, *args: Any, endpoint_id: Id, function_id: Id, **kwargs: Any) -> str:
        """Submit one call; its task id. ``endpoint_id`` may be an endpoint's name."""
        function = as_id(function_id, "function_id")
        payload_format, payload = serialise(args, kwargs)
        endpoint = self.endpoints.resolve(endpoint_id)
        task = NewTask(new_task_id(), endpoint, function, payload_format, payload)
        submit(self.transport, new_id(), [task])
        return task.task_id

    def create_batch(
        self,
        task_group_id: Id | None = None,
        resource_specification: dict[str, Any] | None = None,
        user_endpoint_config: dict[str, Any] | None = None,
        result_serializers: Sequence[str] | None = None,
        *,
        create_websocket_queue: bool | None = None,
        serializer: str | None = None,
        walltime: float | None = None,
        memory: int | str | None = None,
        max_attempts: int | None = None,
        expires_in: int | None = None,
    ) -> Batch:
        """An empty batch; the options hold for each of its calls.

        Times are in seconds; ``memory`` is in bytes or a size such as "2GB", for the call and all it starts.
        """
        refuse(result_serializers=result_serializers, create_websocket_queue=create_websocket_queue or None)
        return Batch(
            task_group_id,
            serializer,
            walltime=walltime,
            memory=memory,
            max_attempts=max_attempts,
            expires_in=expires_in,
            resource_specification=resource_specification,
            user_endpoint_config=user_endpoint_config,
        )

    def batch_run(self, *given: Any, endpoint_id: Id | None = None, batch: Batch | None = None) -> Any:
        """Submit a batch: ``batch_run(batch)`` gives the task ids in order.

        ``batch_run(endpoint_id, batch)`` gives a dict: request_id, task_group_id, endpoint_id, and tasks
        as {function_id: [task_id, ...]}.
        """
        given = (*([] if endpoint_id is None else [endpoint_id]), *given, *([] if batch is None else [batch]))
        calls = given[-1] if given else None
        if not isinstance(calls, Batch) or len(given) > 2:
            raise InvalidRequest("batch_run takes (batch) or (endpoint_id, batch).")
        if len(given) == 1:
            return [task.task_id for task in self._submit_batch(calls, None)]
        endpoint = self.endpoints.resolve(given[0])
        by_function: dict[str, list[str]] = {}
        for task in self._submit_batch(calls, endpoint):
            by_function.setdefault(task.function_id, []).append(task.task_id)
        group = calls.task_group_id
        return {"request_id": group, "task_group_id": group, "endpoint_id": endpoint, "tasks": by_function}

    def _submit_batch(self, batch: Batch, endpoint: str | None) -> list[NewTask]:
        tasks = batch.tasks(endpoint, self.endpoints.resolve)
        submit(self.transport, batch.task_group_id, tasks, len(tasks))
        return tasks

    def get_result(self, task_id: Id, timeout: float | None = None) -> Any:
        """The task's value, or its exception raised as the type it was, the remote traceback as its cause.

        Waits for the outcome; raises TaskPending after ``timeout`` seconds, at once with 0.
        """
        return self.results.value(task_id, timeout)

    def get_task(self, task_id: Id) -> TaskInfo:
        """Where the task stands, with its ``result`` or ``exception`` once finished. Raises for neither."""
        return next(iter(self.results.infos([task_id], 0).values()))

    def get_batch_result(
        self,
        task_ids: Iterable[Id] | None = None,
        timeout: float | None = None,
        *,
        wait: bool | float | None = None,
        task_id_list: Iterable[Id] | None = None,
    ) -> dict[str, TaskInfo]:
        """How many tasks stand now, by task id: of those that have ended ``result`` or ``exception`` as well.

        ``wait=True`` waits for the rest, a number or ``timeout`` for so many seconds at most. Without either,
        reading ``["result"]`` of a task that was pending waits for it.
        """
        wanted = either("task_ids", task_ids, "task_id_list", task_id_list)
        if timeout is None and wait is not True:
            timeout = float(wait or 0)
        return self.results.infos(list(wanted), 0.0 if wait is False else timeout)

    def wait(self, task_ids: Iterable[Id], timeout: float | None = None) -> tuple[set[str], set[str]]:
        """Wait until all are finished, or ``timeout`` seconds have passed: the ids (finished, unfinished)."""
        return self.results.wait(list(task_ids), timeout)

    def cancel(self, task_id: Id) -> None:
        """Ask for a task to be cancelled; it ends cancelled unless it ends otherwise first."""
        wanted = as_id(task_id, "task_id")
        task = self.transport.get(f"/v1/tasks/{wanted}")
        where = {"endpoint_id": task["endpoint_id"], "batch_id": task["batch_id"]}
        self.transport.request("POST", f"/v1/tasks/{wanted}/cancel", json=where)

    def get_tasks(
        self,
        status: str | None = None,
        endpoint_id: Id | None = None,
        function_id: Id | None = None,
        task_group_id: Id | None = None,
        limit: int = 100,
    ) -> list[TaskInfo]:
        """Your tasks, newest first, without their results."""
        filters = {
            "status": status,
            "endpoint_id": None if endpoint_id is None else self.endpoints.resolve(endpoint_id),
            "function_id": None if function_id is None else as_id(function_id, "function_id"),
            "batch_id": None if task_group_id is None else as_id(task_group_id, "task_group_id"),
        }
        return [info(task) for task in self.results.search(limit, **filters)]

    def get_task_history(self, task_id: Id) -> list[dict[str, Any]]:
        """The events about a task, from the log: topic, partition, offset, timestamp (ms), type, event.

        Of each kind the first 200 are listed; the log has all of them.
        """
        answer = self.transport.get(f"/v1/tasks/{as_id(task_id, 'task_id')}/history")
        events: list[dict[str, Any]] = answer["events"]
        return events
