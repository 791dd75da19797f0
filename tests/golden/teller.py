"""Makes the golden log's events, with running numbers, and appends them where they belong."""

import hashlib
from collections.abc import Callable
from typing import Any, Protocol

from funcledger_event_log.records import NewRecord
from funcledger_schemas import events as e
from funcledger_schemas.envelope import Headers

#: Endpoints: two that share a partition, one whose agent never comes, one that is deleted.
LAPTOP, CLUSTER, SILENT, OLD = (f"01990000-0000-7000-8000-00000000e00{n}" for n in range(1, 5))
PARTITIONS = {LAPTOP: 3, CLUSTER: 3, SILENT: 5, OLD: 6}
SQUARE, FAIL, GONE = (f"01990000-0000-7000-8000-00000000f00{n}" for n in range(1, 4))
BATCH, OTHER_BATCH = (f"01990000-0000-7000-8000-00000000b00{n}" for n in range(1, 3))
SOURCES = {
    SQUARE: b"def square(x):\n    return x * x\n",
    FAIL: b"def fail():\n    1 / 0\n",
    GONE: b"def gone():\n    pass\n",
}
TRACEPARENT: Headers = (("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),)


#: The key and batch of a task.
Task = dict[str, Any]


class Log(Protocol):
    """Where the stories are told to."""

    now: int

    def append(
        self,
        event: e.Event,
        partition: int = 0,
        *,
        void: bool = False,
        foreign: bool = False,
        extra: Headers = (),
    ) -> int: ...

    def append_unreadable(self, record: NewRecord, why: str) -> int: ...


def _key(task: Task) -> tuple[str, str, str]:
    return task["endpoint_id"], task["owner"], task["task_id"]


def sha256(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


def payload(value: bytes, form: str | None = "pickle") -> dict[str, Any]:
    return {
        "payload_format": form,
        "payload_sha256": sha256(value),
        "payload_size": len(value),
        "payload": value,
    }


class Teller:
    """Makes events with running numbers and appends them where they belong."""

    def __init__(self, log: Log) -> None:
        self.log = log
        #: The event appended last about a task or by an agent, and its partition.
        self.last: tuple[e.Event, int]
        self._events = 0
        self._tasks = 0
        #: The offset of each task's first submission, by endpoint, owner and task id.
        self._submitted: dict[tuple[str, str, str], int] = {}

    def base(self, actor: str) -> dict[str, Any]:
        self._events += 1
        event_id = f"01990000-0000-7000-8000-{self._events:012x}"
        return {"event_id": event_id, "occurred_at": self.log.now * 1000 + 250, "actor": actor}

    def task(self, owner: str = "ann", endpoint: str = LAPTOP, batch: str = BATCH) -> Task:
        """The key of a new task."""
        self._tasks += 1
        task_id = f"01990000-0000-7000-8000-00000a{self._tasks:06x}"
        return {"endpoint_id": endpoint, "owner": owner, "task_id": task_id, "batch_id": batch}

    def _append(
        self,
        event: e.Event,
        partition: int,
        *,
        void: bool = False,
        foreign: bool = False,
        extra: Headers = (),
    ) -> int:
        self.last = (event, partition)
        return self.log.append(event, partition, void=void, foreign=foreign, extra=extra)

    def repeat(self, what: tuple[e.Event, int], *, void: bool = False) -> int:
        """Append a copy of an event, as a writer does that was not answered."""
        return self._append(*what, void=void)

    def submit(self, task: Task, args: bytes = b"\x80\x04K\x07\x85\x94}\x94\x86\x94.", **more: Any) -> int:
        function, body = more.pop("function_id", SQUARE), more.pop("body", None) or payload(args)
        asked: dict[str, Any] = {
            "batch_size": None,
            "batch_index": None,
            "walltime": None,
            "max_attempts": 3,
            "expires_in": 604_800,
            "resource_specification": None,
            "endpoint_config": None,
        } | more
        event = e.TaskSubmitted(
            **self.base(f"user:{task['owner']}"),
            **task,
            **asked,
            function_id=function,
            function_hash=sha256(SOURCES[function]),
            request_digest=sha256(args + repr((function, sorted(asked.items()))).encode()),
            **body,
        )
        offset = self._append(event, PARTITIONS[task["endpoint_id"]], extra=TRACEPARENT)
        self._submitted.setdefault(_key(task), offset)
        return offset

    def submission(self, task: Task) -> int | None:
        """Where the task was submitted; None where nobody did."""
        return self._submitted.get(_key(task))

    def ask_cancel(self, task: Task) -> int:
        event = e.TaskCancelRequested(**self.base(f"user:{task['owner']}"), **task)
        return self._append(event, PARTITIONS[task["endpoint_id"]])

    def agent_starts(self, endpoint: str, supersedes: int, *, void: bool = False) -> int:
        event = e.EndpointStarted(
            **self.base(f"endpoint:{endpoint}"),
            endpoint_id=endpoint,
            instance_id=f"01990000-0000-7000-8000-0000000c{self._events:04x}",
            supersedes=supersedes,
            host="lab-7",
            platform="Linux-6.1-x86_64",
            python_version="3.12.4",
            agent_version="0.1.0",
            engine="local",
            workers=4,
            distributions_sha256=sha256(b"dill==0.4.0\nnumpy==2.3.1\n"),
        )
        return self._append(event, PARTITIONS[endpoint], void=void)

    def result(
        self,
        what: Callable[..., e.Event],
        task: Task,
        epoch: int | None,
        *,
        void: bool = False,
        foreign: bool = False,
        **more: Any,
    ) -> int:
        actor = "keeper" if epoch is None else f"endpoint:{task['endpoint_id']}"
        fields = {"submission": self.submission(task)} | more
        event = what(**self.base(actor), **task, epoch=epoch, **fields)
        return self._append(event, PARTITIONS[task["endpoint_id"]], void=void, foreign=foreign)

    def started(self, task: Task, epoch: int, attempt: int = 1, *, void: bool = False) -> int:
        return self.result(e.TaskStarted, task, epoch, void=void, attempt=attempt, worker="w2")

    def attempt_failed(self, task: Task, epoch: int, attempt: int, kind: str, *, retry: bool) -> int:
        message = f"attempt {attempt} ended with {kind}"
        return self.result(
            e.TaskAttemptFailed, task, epoch, attempt=attempt, kind=kind, message=message, will_retry=retry
        )

    def completed(
        self,
        task: Task,
        epoch: int,
        attempt: int = 1,
        *,
        value: bytes = b"\x80\x04K1.",
        void: bool = False,
        **more: Any,
    ) -> int:
        measured: dict[str, Any] = {
            "run_time": 0.001953125,
            "cpu_time": 0.0009765625,
            "peak_memory": 31_457_280,
        }
        return self.result(
            e.TaskCompleted, task, epoch, void=void, attempt=attempt, **measured, **payload(value), **more
        )

    def failed(self, task: Task, epoch: int | None, kind: str, attempt: int = 1, **more: Any) -> int:
        fields: dict[str, Any] = {
            "message": f"the task ended with {kind}",
            "error_type": None,
            "traceback": None,
            "run_time": None,
            "cpu_time": None,
            "peak_memory": None,
            **payload(b"", None),
        } | more
        return self.result(e.TaskFailed, task, epoch, attempt=attempt, kind=kind, **fields)

    def cancelled(self, task: Task, epoch: int | None, attempt: int = 0) -> int:
        return self.result(e.TaskCancelled, task, epoch, attempt=attempt, reason="asked by its owner")

    def heartbeat(self, endpoint: str, epoch: int, busy: int = 0) -> int:
        event = e.EndpointHeartbeat(
            **self.base(f"endpoint:{endpoint}"),
            endpoint_id=endpoint,
            instance_id="01990000-0000-7000-8000-0000000c0001",
            epoch=epoch,
            workers=4,
            busy=busy,
            queued=2 * busy,
            cores=8,
            memory_total=16 << 30,
            memory_available=9 << 30,
            load=0.75,
        )
        return self._append(event, PARTITIONS[endpoint])
