"""The stories a golden log tells: every event at least once, and every way a task's life can go."""

from typing import Any

from tests.golden.reserved import (
    everything_has_its_field,
    operators_look_after_the_log,
    people_come_and_share,
)
from tests.golden.teller import (
    CLUSTER,
    FAIL,
    GONE,
    LAPTOP,
    OLD,
    OTHER_BATCH,
    PARTITIONS,
    SILENT,
    SOURCES,
    SQUARE,
    TRACEPARENT,
    Log,
    Task,
    Teller,
    payload,
    sha256,
)

from funcledger_event_log.records import NewRecord
from funcledger_schemas import events as e
from funcledger_schemas.failures import FORMAT as FAILURE
from funcledger_schemas.failures import pack_failure


def tell(log: Log) -> None:
    """All stories, one after another."""
    teller = Teller(log)
    functions_are_registered(teller)
    endpoints_are_registered(teller)
    epoch = tasks_come_and_go(teller)
    epoch = things_go_wrong(teller, epoch)
    epoch = agents_take_over(teller, epoch)
    an_endpoint_lies(teller, epoch)
    everything_has_its_field(teller, epoch)
    users_change_their_minds(teller, epoch)
    nobody_comes(teller)
    records_cannot_be_read(teller)
    people_come_and_share(teller)
    operators_look_after_the_log(teller)
    log.append(
        e.AccessRefused(
            **teller.base("user:bob"),
            principal="user:bob",
            action="read",
            resource=f"task:{teller.task()['task_id']}",
            reason="not the owner's",
            count=17,
        )
    )


def functions_are_registered(teller: Teller) -> None:
    for function_id, owner, public in ((SQUARE, "ann", True), (FAIL, "bob", False), (GONE, "ann", False)):
        event = e.FunctionRegistered(
            **teller.base(f"user:{owner}"),
            function_id=function_id,
            owner=owner,
            name=SOURCES[function_id].split(b"(")[0][4:].decode(),
            description="Squares a number: x² for every x." if public else None,
            metadata='{"field":"arithmetic"}' if public else None,
            public=public,
            group=None if public else "lab",
            python_version="3.12.4",
            dill_version="0.4.0",
            **payload(SOURCES[function_id], "function/1"),
        )
        teller.log.append(event, extra=TRACEPARENT)
    for kind, grantee in (("user", "ann"), ("group", "visitors")):
        shared: dict[str, Any] = {
            "function_id": FAIL,
            "owner": "bob",
            "grantee_kind": kind,
            "grantee": grantee,
        }
        teller.log.append(e.FunctionShared(**teller.base("user:bob"), **shared))
    teller.log.append(e.FunctionUnshared(**teller.base("user:bob"), **shared))
    teller.log.append(e.FunctionDeleted(**teller.base("user:ann"), function_id=GONE, owner="ann"))


def endpoints_are_registered(teller: Teller) -> None:
    for name, endpoint_id in (("laptop", LAPTOP), ("cluster", CLUSTER), ("silent", SILENT), ("old", OLD)):
        event = e.EndpointRegistered(
            **teller.base("user:ann"),
            endpoint_id=endpoint_id,
            owner="ann",
            name=name,
            description=None if name == "old" else f"Ann's {name}",
            metadata='{"site":"Göteborg"}' if name == "cluster" else None,
            public=name == "cluster",
            partition=PARTITIONS[endpoint_id],
            credential_sha256=sha256(name.encode()),
        )
        teller.log.append(event)
    for kind, grantee in (("user", "bob"), ("group", "lab")):
        shared: dict[str, Any] = {
            "endpoint_id": LAPTOP,
            "owner": "ann",
            "grantee_kind": kind,
            "grantee": grantee,
        }
        teller.log.append(e.EndpointShared(**teller.base("user:ann"), **shared))
    teller.log.append(e.EndpointUnshared(**teller.base("user:ann"), **shared))
    teller.log.append(e.EndpointDeleted(**teller.base("user:ann"), endpoint_id=OLD, owner="ann"))


def tasks_come_and_go(teller: Teller) -> int:
    """A batch that succeeds, a task submitted twice, one in conflict, one id used by two owners."""
    epoch = teller.agent_starts(LAPTOP, -1)
    cluster = teller.agent_starts(CLUSTER, -1)
    teller.heartbeat(LAPTOP, epoch)
    batch = [teller.task() for _ in range(3)]
    for index, task in enumerate(batch):
        teller.submit(task, batch_size=3, batch_index=index, walltime=30.0)
    for task in batch:
        teller.started(task, epoch)
    teller.repeat(teller.last)
    for task in reversed(batch):
        teller.completed(task, epoch)
    teller.repeat(teller.last)
    twice = teller.task("bob", CLUSTER, OTHER_BATCH)
    for _ in range(2):
        teller.submit(twice, resource_specification='{"num_nodes":2}', endpoint_config='{"queue":"short"}')
    teller.submit(twice, b"\x80\x04K\x08\x85\x94}\x94\x86\x94.")
    teller.started(twice, cluster)
    teller.completed(twice, cluster, value=bytes(range(256)) * 257)
    namesake = twice | {"owner": "ann"}
    teller.submit(namesake)
    teller.started(namesake, cluster)
    teller.completed(namesake, cluster, value=b"\x80\x04K@.")
    teller.heartbeat(CLUSTER, cluster, busy=1)
    return epoch


def things_go_wrong(teller: Teller, epoch: int) -> int:
    """An exception, an exit, a worker that dies once, one that always does, one lost task, refusals."""
    raised, left, retried, poison, once = (teller.task() for _ in range(5))
    for task in (raised, left):
        teller.submit(task, function_id=FAIL)
        teller.started(task, epoch)
    traceback = 'Traceback (most recent call last):\n  File "<fail>", line 2, in fail\nZeroDivisionError: …\n'
    measured: dict[str, Any] = {"run_time": 0.5, "cpu_time": 0.25, "peak_memory": 31_457_280}
    exception = b"\x80\x04\x8c\x08builtins\x8c\x11ZeroDivisionError\x93)R."
    said = pack_failure("division by zero", traceback, "pickle", exception)
    error: dict[str, Any] = {"message": "", "error_type": "builtins.ZeroDivisionError", "traceback": None}
    teller.failed(raised, epoch, "Exception", **error, **measured, **payload(said, FAILURE))
    error["error_type"] = "builtins.SystemExit"
    teller.failed(left, epoch, "Exception", **error, **payload(pack_failure("3", "…", None, b""), FAILURE))
    teller.submit(retried)
    teller.started(retried, epoch)
    teller.attempt_failed(retried, epoch, 1, "WorkerDied", retry=True)
    teller.started(retried, epoch, 2)
    teller.completed(retried, epoch, 2)
    teller.submit(poison)
    for attempt in (1, 2, 3):
        teller.started(poison, epoch, attempt)
        teller.attempt_failed(poison, epoch, attempt, "WorkerDied", retry=attempt < 3)
    teller.failed(poison, epoch, "WorkerDied", 3, message="killed by signal 11 (SIGSEGV) at 31 MiB")
    teller.submit(once, max_attempts=1)
    teller.started(once, epoch)
    teller.attempt_failed(once, epoch, 1, "TaskLost", retry=False)
    teller.failed(once, epoch, "TaskLost")
    for kind in ("WalltimeExceeded", "ResultTooLarge", "VersionMismatch"):
        task = teller.task()
        teller.submit(task, walltime=0.5)
        teller.started(task, epoch)
        teller.failed(task, epoch, kind)
    return epoch


def agents_take_over(teller: Teller, zombie: int) -> int:
    """A frozen agent wakes after another took over, two start at once, an old start comes late."""
    frozen, contested = teller.task(), teller.task()
    teller.submit(frozen)
    teller.started(frozen, zombie)
    epoch = teller.agent_starts(LAPTOP, zombie)
    start = teller.last
    teller.completed(frozen, zombie, value=b"\x80\x04K\x00.", void=True)
    teller.attempt_failed(frozen, epoch, 1, "TaskLost", retry=True)
    teller.started(frozen, epoch, 2)
    teller.completed(frozen, epoch, 2)
    teller.completed(frozen, epoch, 2, value=b"\x80\x04K\x01.")
    winner = teller.agent_starts(LAPTOP, epoch)
    loser = teller.agent_starts(LAPTOP, epoch, void=True)
    teller.repeat(start, void=True)
    teller.submit(contested)
    teller.started(contested, loser, void=True)
    teller.started(contested, winner)
    teller.completed(contested, loser, void=True)
    teller.completed(contested, winner)
    teller.heartbeat(LAPTOP, winner, busy=2)
    return winner


def an_endpoint_lies(teller: Teller, epoch: int) -> None:
    """What it says of tasks nobody sent it, or of another submission, owner or batch, counts for nothing."""
    wanted, other, unasked = teller.task(), teller.task("bob"), teller.task("bob", batch=OTHER_BATCH)
    for task in (wanted, other):
        teller.submit(task)
    lies: list[tuple[Task, int | None]] = [
        (unasked, teller.submission(wanted)),
        (wanted, teller.submission(other)),
        (wanted, 999_999),
        (wanted | {"batch_id": OTHER_BATCH}, teller.submission(wanted)),
        (wanted | {"owner": "bob"}, teller.submission(wanted)),
    ]
    for task, submission in lies:
        teller.completed(task, epoch, value=b"\x80\x04K\x00.", foreign=True, submission=submission)
    for task in (wanted, other):
        teller.started(task, epoch)
        teller.completed(task, epoch)


def users_change_their_minds(teller: Teller, epoch: int) -> None:
    """A queued task is cancelled, a running one too, one a moment too late; then the agent stops."""
    queued, running, late, waiting, begun = (teller.task() for _ in range(5))
    for task in (queued, running, late, waiting, begun):
        teller.submit(task)
    teller.ask_cancel(queued)
    teller.cancelled(queued, epoch)
    teller.started(running, epoch)
    teller.ask_cancel(running)
    teller.cancelled(running, epoch, 1)
    teller.started(late, epoch)
    teller.ask_cancel(late)
    teller.completed(late, epoch)
    teller.cancelled(late, epoch, 1)
    teller.started(begun, epoch)
    stopped = e.EndpointStopped(
        **teller.base(f"endpoint:{LAPTOP}"),
        endpoint_id=LAPTOP,
        instance_id="01990000-0000-7000-8000-0000000c0001",
        reason="SIGTERM",
        epoch=epoch,
    )
    teller.log.append(stopped, PARTITIONS[LAPTOP])


def nobody_comes(teller: Teller) -> None:
    """The keeper cancels one task of an endpoint with no agent and gives up another; one still waits."""
    asked, expired, waiting = (teller.task(endpoint=SILENT) for _ in range(3))
    for task in (asked, expired, waiting):
        teller.submit(task, expires_in=60)
    teller.ask_cancel(asked)
    teller.cancelled(asked, None)
    teller.log.now += 60_000
    teller.failed(expired, None, "Expired", 0)


def records_cannot_be_read(teller: Teller) -> None:
    """Noise, a record cut short, one of a schema nobody knows; and what a consumer says of the first."""
    partition = PARTITIONS[LAPTOP]
    noise = NewRecord("results", partition, b"?", (), b"\x00\x01 not an event " * 100)
    offset = teller.log.append_unreadable(noise, "the record names no schema")
    event = e.TaskStarted(
        **teller.base(f"endpoint:{LAPTOP}"), **teller.task(), epoch=0, attempt=1, worker="w1"
    )
    whole = NewRecord.of(event, partition)
    cut = NewRecord("results", partition, whole.key, whole.headers, whole.value[:-7])
    teller.log.append_unreadable(cut, "not a TaskStarted of version 2")
    headers = tuple((n, v.replace(b"Started:2", b"Vanished:2")) for n, v in whole.headers)
    teller.log.append_unreadable(
        NewRecord("results", partition, whole.key, headers, whole.value), "unknown schema"
    )
    teller.log.append(
        e.RecordDeadLettered(
            **teller.base("keeper"),
            consumer="projectors",
            topic="results",
            partition=partition,
            offset=offset,
            reason="the record names no schema (header ce_dataschema)",
            size=len(noise.value),
            sha256=sha256(noise.value),
            head=noise.value[:1024],
        )
    )
