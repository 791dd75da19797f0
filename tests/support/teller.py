"""Tells histories as a log would hold them, with everything that goes wrong: several endpoints that share
partitions, two owners, agents that are taken over and wake again, the keeper, copies, noise.
"""

from collections.abc import Callable
from typing import Any

from tests.support.page import Page

from funcledger_schemas import events as e
from funcledger_schemas.events import Event

ENDPOINTS = [f"00000000-0000-7000-8000-00000000e00{number}" for number in range(3)]
OWNERS = ["ann", "bob"]
GRANTEES = ["user", "group"]
FUNCTION = "00000000-0000-7000-8000-00000000f001"


def partition_of(endpoint_id: str) -> int:
    """Two endpoints share partition 0."""
    return ENDPOINTS.index(endpoint_id) // 2


class Teller(Page):
    """Appends events to a log of lists; every move takes two small numbers that choose its details."""

    def __init__(self) -> None:
        super().__init__()
        self._tasks: list[dict[str, Any]] = []
        self._keys: set[tuple[str, str, str]] = set()
        #: The offset of each task's first submission, by its id and the owner and endpoint it is of.
        self._submitted: dict[tuple[str, str, str], int] = {}
        self._registered: set[str] = set()
        #: Per endpoint the epochs of all agents that ever started, won or lost.
        self._agents: dict[str, list[int]] = {endpoint_id: [] for endpoint_id in ENDPOINTS}

    def rest(self, a: int, b: int) -> None:
        """Nothing happens: what Hypothesis shrinks to."""

    def submit(self, a: int, b: int) -> None:
        """A new task; ids are the same for both owners, as nothing forbids."""
        number = len(self._tasks) // 2
        task = {
            "endpoint_id": ENDPOINTS[a % 3],
            "owner": OWNERS[b % 2],
            "task_id": f"00000000-0000-7000-8000-00000000a{number:03}",
            "batch_id": f"00000000-0000-7000-8000-00000000b{b % 3:03}",
        }
        key = task["endpoint_id"], task["owner"], task["task_id"]
        if key not in self._keys:
            self._keys.add(key)
            self._tasks.append(task)
            self._submitted[key] = self._submit(task, digest="first", index=number)

    def submit_again(self, a: int, b: int) -> None:
        """A task id comes a second time: the same request, another one, or in another batch."""
        if task := self._task(a):
            batch = {"batch_id": "00000000-0000-7000-8000-00000000b999"} if b == 2 else {}
            self._submit(task | batch, digest="other" if b else "first", index=b)

    def _submit(self, task: dict[str, Any], digest: str, index: int) -> int:
        submitted = e.TaskSubmitted(
            **self.base(f"user:{task['owner']}"),
            **task,
            batch_size=None,
            batch_index=index,
            function_id=FUNCTION,
            function_hash="hash",
            request_digest=digest,
            walltime=None,
            max_attempts=3,
            expires_in=60 + index,
            resource_specification=None,
            endpoint_config=None,
            **_payload(b"arguments"),
        )
        return self.append(submitted, partition_of(task["endpoint_id"]))

    def ask_cancel(self, a: int, b: int) -> None:
        """Somebody asks for a task to be cancelled."""
        if task := self._task(a):
            self._about(e.TaskCancelRequested, task)

    def agent_starts(self, a: int, b: int) -> None:
        """An agent takes over; or comes late, when another has superseded the same one."""
        agents = self._agents[ENDPOINTS[a % 3]]
        started = e.EndpointStarted(
            **self.base("endpoint"),
            endpoint_id=ENDPOINTS[a % 3],
            instance_id=f"instance {self._ids}",
            supersedes=(agents[-1] if b < 3 else agents[0]) if agents else -1,
            host=f"host {b}",
            platform="Linux",
            python_version="3.12",
            agent_version="0",
            engine="local",
            workers=b,
            distributions_sha256="",
        )
        agents.append(self.append(started, partition_of(ENDPOINTS[a % 3])))

    def agent_stops(self, a: int, b: int) -> None:
        """An agent leaves, whether it is still in charge or not."""
        stopped = e.EndpointStopped(
            **self.base("endpoint"),
            endpoint_id=ENDPOINTS[a % 3],
            instance_id="",
            reason=f"reason {self._ids}",
            epoch=self._epoch(ENDPOINTS[a % 3], b),
        )
        self.append(stopped, partition_of(ENDPOINTS[a % 3]))

    def heartbeat(self, a: int, b: int) -> None:
        """A sign of life, of the newest agent or of an older one."""
        heartbeat = e.EndpointHeartbeat(
            **self.base("endpoint"),
            endpoint_id=ENDPOINTS[a % 3],
            instance_id="",
            epoch=self._epoch(ENDPOINTS[a % 3], b),
            workers=2,
            busy=b,
            queued=self._ids,
            cores=2,
            memory_total=1,
            memory_available=1,
            load=0.5,
        )
        self.append(heartbeat, partition_of(ENDPOINTS[a % 3]))

    def started(self, a: int, b: int) -> None:
        """An attempt begins."""
        if task := self._task(a):
            self._about(e.TaskStarted, task, b, attempt=1 + b % 3, worker=f"w{b}")

    def attempt_failed(self, a: int, b: int) -> None:
        """An attempt ends without an outcome."""
        if task := self._task(a):
            self._about(
                e.TaskAttemptFailed,
                task,
                b,
                attempt=1 + b % 3,
                kind="WorkerDied",
                message="",
                will_retry=True,
            )

    def completed(self, a: int, b: int) -> None:
        """A call returns; one value in four is too large to be copied."""
        if task := self._task(a):
            value = bytes([self._ids % 256]) * (70_000 if b == 3 else 5)
            measured = {"run_time": 0.5, "cpu_time": 0.25, "peak_memory": self._ids}
            self._about(e.TaskCompleted, task, b, attempt=1, **measured, **_payload(value))

    def failed(self, a: int, b: int, kind: str = "Exception", epoch: bool = True) -> None:
        """A call raises, or the keeper gives a task up."""
        if task := self._task(a):
            error: dict[str, Any] = {
                "kind": kind,
                "message": f"message {self._ids}",
                "error_type": None,
                "traceback": "text",
            }
            measured = {"run_time": None, "cpu_time": None, "peak_memory": None}
            self._about(
                e.TaskFailed, task, b if epoch else None, attempt=1, **error, **measured,
                **(_payload(b"") | {"payload_format": None}),
            )  # fmt: skip

    def cancelled(self, a: int, b: int) -> None:
        """A task is cancelled, by an agent."""
        if task := self._task(a):
            self._about(e.TaskCancelled, task, b, attempt=0, reason=f"reason {self._ids}")

    def kept(self, a: int, b: int) -> None:
        """The keeper ends a task."""
        if b % 2:
            self.failed(a, b, kind="Expired", epoch=False)
        elif task := self._task(a):
            self._about(e.TaskCancelled, task, None, attempt=0, reason="asked")

    def lied(self, a: int, b: int) -> None:
        """An endpoint ends or begins a task that it was not given so."""
        if not (task := self._task(a)):
            return
        first = self._submitted[task["endpoint_id"], task["owner"], task["task_id"]]
        lies: list[tuple[dict[str, Any], int]] = [
            ({"task_id": "00000000-0000-7000-8000-00000000a999"}, first),
            ({"owner": OWNERS[task["owner"] == "ann"]}, first + 1),
            ({"batch_id": "00000000-0000-7000-8000-00000000b998"}, first),
            ({}, first + 1 + a % 2),
        ]
        changes, submission = lies[b]
        if a % 3 == 0:
            fields: dict[str, Any] = {"attempt": 3, "worker": "liar"}
            self._about(e.TaskStarted, task | changes, 0, submission=submission, **fields)
        else:
            self._about(e.TaskCancelled, task | changes, 0, submission=submission, attempt=0, reason="a lie")

    def administered(self, a: int, b: int) -> None:
        """Something is shared, unshared or deleted; it is registered first, which nobody can do later."""
        share: dict[str, Any] = {"owner": "ann", "grantee_kind": GRANTEES[b % 2], "grantee": f"who {b % 3}"}
        function: dict[str, Any] = {"function_id": FUNCTION}
        endpoint: dict[str, Any] = {"endpoint_id": ENDPOINTS[b % 3]}
        moves: list[Callable[[], Event]] = [
            lambda: e.FunctionShared(**self.base(), **function, **share),
            lambda: e.EndpointShared(**self.base(), **endpoint, **share),
            lambda: e.FunctionUnshared(**self.base(), **function, **share),
            lambda: e.EndpointUnshared(**self.base(), **endpoint, **share),
            lambda: _function(self.base(), f"name {self._ids}"),
            lambda: _endpoint(self.base(), **endpoint),
            lambda: e.FunctionDeleted(**self.base(), **function, owner="ann"),
            lambda: e.EndpointDeleted(**self.base(), **endpoint, owner="ann"),
        ]
        about_id = ENDPOINTS[b % 3] if a % 2 else FUNCTION
        if about_id not in self._registered:
            self._registered.add(about_id)
            self.append(moves[4 + a % 2]())
        self.append(moves[a % len(moves)]())

    def _about(self, kind: type[Any], task: dict[str, Any], b: int | None = None, /, **fields: Any) -> None:
        if kind is not e.TaskCancelRequested:
            fields["epoch"] = None if b is None else self._epoch(task["endpoint_id"], b)
            # Agents of version 1 name no submission.
            first = self._submitted.get((task["endpoint_id"], task["owner"], task["task_id"]))
            fields.setdefault("submission", first if self._ids % 4 else None)
        event = kind(**self.base("endpoint"), **task, **fields)
        self.append(event, partition_of(task["endpoint_id"]))

    def _task(self, a: int) -> dict[str, Any] | None:
        return self._tasks[-1 - a % len(self._tasks)] if self._tasks else None

    def _epoch(self, endpoint_id: str, b: int) -> int:
        """The newest agent's epoch mostly, else that of one before."""
        agents = self._agents[endpoint_id]
        return agents[-1 - (b == 3 and len(agents) > 1)] if agents else 0


def _payload(value: bytes) -> dict[str, Any]:
    return {"payload_format": "pickle", "payload_sha256": "", "payload_size": len(value), "payload": value}


def _function(base: dict[str, Any], name: str) -> e.FunctionRegistered:
    return e.FunctionRegistered(
        **base, function_id=FUNCTION, owner="ann", name=name, description=None, metadata=None, public=False,
        group="lab", python_version="3.12", dill_version="0.4", **_payload(b"body"),
    )  # fmt: skip


def _endpoint(base: dict[str, Any], endpoint_id: str) -> e.EndpointRegistered:
    return e.EndpointRegistered(
        **base, endpoint_id=endpoint_id, owner="ann", name=f"name {base['event_id']}", description=None,
        metadata=None, public=True, partition=partition_of(endpoint_id), credential_sha256="",
    )  # fmt: skip
