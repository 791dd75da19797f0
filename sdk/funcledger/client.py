"""The client: everything a user can ask of a server, each a few lines over what does the work."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from funcledger.batch import Batch
from funcledger.endpoints import Endpoints
from funcledger.errors import InvalidRequest
from funcledger.functions import Functions, description_of, serialise_function
from funcledger.names import Id, as_id
from funcledger.results import Results
from funcledger.settings import find_server
from funcledger.sharing import Shares
from funcledger.submission import NewTask, TaskOptions, resources, serialise, submit
from funcledger.tasks import TaskInfo, info
from funcledger_schemas.ids import new_id


class Client:
    """A connection to a funcledger server; safe to use from several threads.

    ``Client()`` finds the server on this machine. ``url`` and ``token`` name another; so do the
    environment's FUNCLEDGER_URL and FUNCLEDGER_TOKEN. ``patience`` is how long, in seconds, a request
    is repeated while the server cannot be reached. While it asks for pauses, because the endpoint's backlog
    is full or requests come too fast, there is no end to that, unless ``room_timeout`` (seconds) sets one.

    Every method raises one of ``funcledger.errors``: Unauthenticated, PermissionDenied,
    ServiceUnavailable, InvalidRequest, and a NotFound that names the id, as the case may be.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        patience: float = 60.0,
        room_timeout: float | None = None,
    ) -> None:
        from funcledger.transport import Transport  # brings httpx2 and tenacity, so not with the import

        self.transport = Transport(find_server(url, token), patience=patience, room_timeout=room_timeout)
        self.functions = Functions(self.transport)
        self.endpoints = Endpoints(self.transport)
        self.results = Results(self.transport)
        self.shares = Shares(self.transport)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.transport.server.url!r})"

    # Functions

    def register_function(
        self,
        function: Callable[..., Any],
        function_name: str | None = None,
        container_uuid: object = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        public: bool = False,
        group: str | None = None,
        searchable: object = None,
    ) -> str:
        """Store a function with all it refers to; its id. The description defaults to the docstring.

        ``container_uuid`` and ``searchable`` are accepted as older programs pass them, and mean nothing.
        """
        return self.functions.register(
            serialise_function(function),
            name=function_name,
            description=description_of(function) if description is None else description,
            metadata=metadata,
            public=public,
            group=group,
        )

    def register_source_code(
        self,
        source: str,
        function_name: str,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        public: bool = False,
        group: str | None = None,
    ) -> str:
        """Store a function given as source that defines ``function_name``; its id."""
        return self.functions.register_source(
            source, function_name, description=description, metadata=metadata, public=public, group=group
        )

    def get_function(self, function_id: Id) -> dict[str, Any]:
        """What is known of a function: name, description, metadata, source and so on."""
        return self.functions.get(function_id)

    def get_functions(self, role: str | None = None) -> list[dict[str, Any]]:
        """The functions you may run; with role "owner" only your own."""
        return self.functions.search(None, role, 0, 1000)

    def search_function(self, text: str, offset: int = 0, limit: int = 10) -> list[dict[str, Any]]:
        """Functions you may run whose name or description hold ``text``."""
        return self.functions.search(text, "any", offset, limit)

    def delete_function(self, function_id: Id) -> None:
        """Delete a function; tasks submitted before still run."""
        self.functions.delete(function_id)

    def share_function(self, function_id: Id, *, user: str | None = None, group: str | None = None) -> None:
        """Let a user or a group run a function."""
        self.shares.add("functions", as_id(function_id, "function_id"), user, group)

    def unshare_function(self, function_id: Id, *, user: str | None = None, group: str | None = None) -> None:
        """Take that back."""
        self.shares.remove("functions", as_id(function_id, "function_id"), user, group)

    # Tasks

    def run(self, *args: Any, endpoint_id: Id, function_id: Id, **kwargs: Any) -> str:
        """Submit one call; its task id. ``endpoint_id`` may be an endpoint's name."""
        function = as_id(function_id, "function_id")
        payload_format, payload = serialise(args, kwargs)
        endpoint = self.endpoints.resolve(endpoint_id)
        task = NewTask(new_id(), endpoint, function, payload_format, payload)
        submit(self.transport, new_id(), [task])
        return task.task_id

    def create_batch(
        self,
        task_group_id: Id | None = None,
        resource_specification: dict[str, Any] | None = None,
        user_endpoint_config: dict[str, Any] | None = None,
        result_serializers: Sequence[str] | None = None,
        *,
        serializer: str | None = None,
        walltime: float | None = None,
        memory: int | str | None = None,
        max_attempts: int | None = None,
        expires_in: int | None = None,
    ) -> Batch:
        """An empty batch; the options hold for each of its calls.

        Times are in seconds; ``memory`` is in bytes or a size such as "2GB", for the call and all it starts.
        """
        del result_serializers  # results say themselves how to be read
        options = TaskOptions(
            walltime,
            max_attempts,
            expires_in,
            resources(resource_specification, memory),
            user_endpoint_config,
        )
        return Batch(task_group_id, options, serializer)

    def batch_run(self, *given: Any) -> Any:
        """Submit a batch: ``batch_run(batch)`` gives the task ids in order.

        ``batch_run(endpoint_id, batch)`` gives a dict: request_id, task_group_id, endpoint_id, and tasks
        as {function_id: [task_id, ...]}.
        """
        batch = given[-1] if given else None
        if not isinstance(batch, Batch) or len(given) > 2:
            raise InvalidRequest("batch_run takes (batch) or (endpoint_id, batch).")
        if len(given) == 1:
            return [task.task_id for task in self._submit_batch(batch, None)]
        endpoint = self.endpoints.resolve(given[0])
        by_function: dict[str, list[str]] = {}
        for task in self._submit_batch(batch, endpoint):
            by_function.setdefault(task.function_id, []).append(task.task_id)
        group = batch.task_group_id
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

    def get_batch_result(self, task_ids: Iterable[Id], timeout: float | None = None) -> dict[str, TaskInfo]:
        """The same for many, by task id. Waits until all are finished or ``timeout`` seconds have passed.

        Failed tasks are among them, and unfinished ones as pending; with 0 it is how things stand now.
        """
        return self.results.infos(list(task_ids), timeout)

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
        """Every event about a task, from the log: topic, partition, offset, timestamp (ms), type, event."""
        answer = self.transport.get(f"/v1/tasks/{as_id(task_id, 'task_id')}/history")
        events: list[dict[str, Any]] = answer["events"]
        return events

    # Endpoints

    def get_endpoints(self, role: str | None = None) -> list[dict[str, Any]]:
        """The endpoints you may use; with role "owner" only your own."""
        return self.endpoints.list(role)

    def get_endpoint_status(self, endpoint_id: Id) -> dict[str, Any]:
        """``status`` is "online" or "offline"; ``logs[0]`` and ``details`` say how busy it is."""
        return self.endpoints.status(endpoint_id)

    def get_endpoint_metadata(self, endpoint_id: Id) -> dict[str, Any]:
        """All that is known of an endpoint."""
        return self.endpoints.get(endpoint_id)

    def register_endpoint(
        self,
        name: str,
        endpoint_id: Id | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        description: str | None = None,
        public: bool = False,
    ) -> dict[str, Any]:
        """Register an endpoint: its id, name, and the credential for its agent, which is shown only now."""
        return self.endpoints.register(
            name, endpoint_id, metadata=metadata, description=description, public=public
        )

    def delete_endpoint(self, endpoint_id: Id) -> None:
        """Delete an endpoint."""
        self.endpoints.delete(endpoint_id)

    def share_endpoint(self, endpoint_id: Id, *, user: str | None = None, group: str | None = None) -> None:
        """Let a user or a group run functions on an endpoint."""
        self.shares.add("endpoints", self.endpoints.resolve(endpoint_id), user, group)

    def unshare_endpoint(self, endpoint_id: Id, *, user: str | None = None, group: str | None = None) -> None:
        """Take that back."""
        self.shares.remove("endpoints", self.endpoints.resolve(endpoint_id), user, group)

    # The connection

    def version_check(self) -> dict[str, str]:
        """The versions of this SDK and of the server."""
        from importlib.metadata import version

        return {"sdk": version("funcledger"), "server": str(self.transport.get("/version")["version"])}

    def logout(self) -> None:
        """Forget the token; this client can do nothing more."""
        self.transport.forget_token()

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()
