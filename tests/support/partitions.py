"""Arbitrary results partitions for Hypothesis: agents start, freeze and wake, and speak of tasks.

Offsets have gaps (Kafka's do), so that a test can put further records in between.
"""

from typing import Any

from hypothesis import strategies as st

from funcledger_schemas import events as e
from funcledger_schemas.events import Event
from funcledger_schemas.lifecycle import Epochs, Life, advance

#: Distance between two records of a generated partition.
GAP = 10

ENDPOINTS = ("laptop", "cluster")
TASKS = ("t1", "t2")

#: One results partition: offset and event, by offset.
Log = list[tuple[int, Event]]
Key = tuple[str, str, str]


def start(endpoint: str, supersedes: int) -> e.EndpointStarted:
    """An agent's start."""
    return e.EndpointStarted(
        **_base(), endpoint_id=endpoint, instance_id="i", supersedes=supersedes, host="h", platform="p",
        python_version="3", agent_version="0", engine="local", workers=1, distributions_sha256="",
    )  # fmt: skip


def about_task(what: str, endpoint: str, task: str, epoch: int | None, attempt: int = 1) -> Event:
    """An event of the class called ``what`` about one task."""
    key: dict[str, Any] = {"endpoint_id": endpoint, "owner": "ann", "task_id": task, "batch_id": "b"}
    common = _base() | key | {"epoch": epoch, "attempt": attempt}
    measured: dict[str, Any] = {"run_time": None, "cpu_time": None, "peak_memory": None}
    payload: dict[str, Any] = {
        "payload_format": "json",
        "payload_sha256": "",
        "payload_size": 1,
        "payload": b"1",
    }
    match what:
        case "TaskStarted":
            return e.TaskStarted(**common, worker="w")
        case "TaskAttemptFailed":
            return e.TaskAttemptFailed(**common, kind="WorkerDied", message="", will_retry=True)
        case "TaskCompleted":
            return e.TaskCompleted(**common, **measured, **payload)
        case "TaskFailed":
            failure: dict[str, Any] = {
                "kind": "Exception",
                "message": "",
                "error_type": None,
                "traceback": None,
            }
            return e.TaskFailed(**common, **failure, **measured, **payload)
        case _:
            return e.TaskCancelled(**common, reason="")


_BEGUN = ("TaskStarted", "TaskStarted", "TaskAttemptFailed")
_ENDED = ("TaskCompleted", "TaskFailed", "TaskCancelled")


@st.composite
def partitions(draw: st.DrawFn, max_size: int = 25) -> Log:
    """A partition in which agents say anything, as long as nobody knows a later offset than his own."""
    log: Log = []
    for offset in range(0, draw(st.integers(0, max_size)) * GAP, GAP):
        endpoint = draw(st.sampled_from(ENDPOINTS))
        seen = [at for at, event in log if isinstance(event, e.EndpointStarted)]
        if draw(st.integers(0, 3)) == 0:
            log.append((offset, start(endpoint, draw(st.sampled_from([-1, *seen])))))
            continue
        epoch = draw(st.sampled_from([None, *seen]))
        what = draw(st.sampled_from(_BEGUN + _ENDED))
        attempt = draw(st.integers(0, 3))
        log.append((offset, about_task(what, endpoint, draw(st.sampled_from(TASKS)), epoch, attempt)))
    return log


def lives(log: Log) -> dict[Key, Life]:
    """What every follower makes of a partition."""
    epochs, found = Epochs(), dict[Key, Life]()
    for offset, event in log:
        if epochs.admit(offset, event) and isinstance(event, e.TaskEvent):
            life = found.setdefault((event.endpoint_id, event.owner, event.task_id), Life())
            advance(life, offset, event)
    return found


def _base() -> dict[str, Any]:
    return {"event_id": "01990000-0000-7000-8000-000000000000", "occurred_at": 0, "actor": "endpoint:x"}
