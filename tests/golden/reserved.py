"""Stories of what has its place on the log though nothing acts on it yet: reserved fields and events."""

from typing import Any

from tests.golden.teller import BATCH, CLUSTER, LAPTOP, PARTITIONS, SQUARE, Teller, payload, sha256

from funcledger_schemas import events as e


def everything_has_its_field(teller: Teller, epoch: int) -> None:
    """A task whose events say all that they can, though nothing acts on it yet."""
    before, task, elsewhere = teller.task(), teller.task(), teller.task()
    for each in (before, elsewhere):
        teller.submit(each)
    key = e.TaskKey(before["endpoint_id"], before["owner"], before["task_id"])
    submission = teller.submit(
        task,
        by_token="01990000-0000-7000-8000-00000000a001",
        accepted_formats=("json", "pickle"),
        labels=("paper=2", "sweep"),
        priority=10,
        dependencies=(e.Dependency(key, ("/args/0", "/kwargs/x")),),
        alternatives=(LAPTOP, CLUSTER),
        rerun_of=key,
        reuse=True,
        payload_code="cpython-3.12 cloudpickle-3.1.1",
    )
    ended = e.EndedDependency(key, 3, 4711, sha256(b"\x80\x04K1."))
    released = e.TaskReleased(**teller.base("keeper"), **task, submission=submission, outcomes=(ended,))
    teller.log.append(released, PARTITIONS[LAPTOP])
    environment = b"dill==0.4.0\nnumpy==2.3.1\n"
    installed = e.EndpointEnvironment(
        **teller.base(f"endpoint:{LAPTOP}"),
        endpoint_id=LAPTOP,
        epoch=epoch,
        environment_sha256=sha256(environment),
        implementation="cpython",
        python_version="3.12.4",
        platform="Linux-6.1-x86_64",
        **payload(environment, "distributions/1"),
    )
    teller.log.append(installed, PARTITIONS[LAPTOP])
    place: dict[str, Any] = {
        "host": "node-17",
        "block": "block-2",
        "job": "8675309",
        "environment_sha256": sha256(environment),
    }
    teller.result(e.TaskStarted, task, epoch, attempt=1, worker="w2", **place)
    written = b"half way\n"
    for channel, form, sizes, value in (
        ("stdout", "text/1", (), written),
        ("items", "pickle", (4, 4), b"\x80\x04K1.\x80\x04K2."[:8]),
        ("progress", "progress/1", (20,), b'{"done":1,"total":2}'),
    ):
        chunk = e.TaskStreamed(
            **teller.base(f"endpoint:{LAPTOP}"),
            **task,
            submission=submission,
            epoch=epoch,
            attempt=1,
            channel=channel,
            position=0,
            sizes=sizes,
            **payload(value, form),
        )
        teller.log.append(chunk, PARTITIONS[LAPTOP])
    output = e.OutputTotals(len(written), 0, 2, 8, 0, sha256(b""))
    teller.completed(task, epoch, output=output, payload_code="cpython-3.12 dill-0.4.0")
    teller.completed(before, epoch, reused_from=e.TaskKey(CLUSTER, "ann", before["task_id"]))
    teller.failed(elsewhere, epoch, "Rerouted", 0, rerouted_to=CLUSTER, caused_by=key, output=output)
    stored = sha256(b"a large value")
    large = {"payload_format": "pickle", "payload_sha256": stored, "payload_size": 7 << 20, "payload": b""}
    by_reference = teller.task(endpoint=CLUSTER)
    teller.submit(by_reference, rerouted_from=LAPTOP, payload_object=f"sha256:{stored}", body=large)


def people_come_and_share(teller: Teller) -> None:
    """Two logins of one person, a group, tokens, shares of every kind, credentials, a handing over."""
    person, linked, session, group, token, credential = (
        f"01990000-0000-7000-8000-00000000{n:04x}" for n in range(0xAA01, 0xAA07)
    )
    owned: dict[str, Any] = {"owner": person, "by_token": token}
    shared: dict[str, Any] = {"batch_id": BATCH, "grantee_kind": "group", "grantee": group, **owned}
    described = b'{"issuer":"https://login.example.org","sub":"7","name":"Ann","orcid":"0000-0002-1825-0097"}'
    ann: dict[str, Any] = {"endpoint_id": LAPTOP, "owner": "ann"}
    came = {"person_id": person, "session_id": session}
    issuer = {"issuer": "https://login.example.org", "method": "device", "expires_at": 1_767_686_400_000_000}
    made = {"name": "CI", "token_sha256": sha256(b"flt_"), "scopes": ("tasks:read",)}
    managing = {"grantee_kind": "user", "grantee": "bob", "role": "manage", "by_token": token}
    settings = {"labels": ("gpu",), "allowed_functions": (SQUARE,), "contact": person}
    bearer = {"kind": "bearer", "secret_sha256": sha256(b"fle_")}
    everything = {"resource_kind": "*", "resource_id": "*", "former_owner": "local", "new_owner": person}
    told: list[tuple[type[e.Event], dict[str, Any]]] = [
        (e.PersonDescribed, {"person_id": person, **payload(described, "person/1")}),
        (e.PersonDescribed, {"person_id": linked, **payload(b"{}", "person/1")}),
        (e.PersonLinked, {"person_id": person, "linked": linked}),
        (e.PersonLoggedIn, came | issuer),
        (e.TokenCreated, {"token_id": token, "owner": person, **made}),
        (e.GroupCreated, {"group_id": group, "name": "visitors", **owned}),
        (e.GroupMemberAdded, {"group_id": group, "member": linked, **owned}),
        (e.GroupMemberRemoved, {"group_id": group, "member": linked, **owned}),
        (e.ResultsShared, shared),
        (e.ResultsUnshared, shared | {"of_task": teller.task()["task_id"]}),
        (e.EndpointShared, ann | managing),
        (e.EndpointChanged, ann | settings),
        (e.EndpointCredentialIssued, ann | {"credential_id": credential, **bearer}),
        (e.EndpointCredentialRevoked, ann | {"credential_id": credential, "reason": "asked"}),
        (e.OwnershipTransferred, everything),
        (e.TokenRevoked, {"token_id": token, "owner": person, "reason": "asked"}),
        (e.GroupDeleted, {"group_id": group, **owned}),
        (e.PersonLoggedOut, came | {"reason": "asked"}),
    ]
    for kind, fields in told:
        teller.log.append(kind(**teller.base(f"user:{person}"), **fields))


def operators_look_after_the_log(teller: Teller) -> None:
    """A checkpoint of two partitions, and the erasure of a payload."""
    note = "funcledger.example/results/3\n4712\nMTIz\n\n— funcledger.example c2lnbmVk\n"
    trees = (e.TreeHead("results", 3, 4712, note), e.TreeHead("functions", 0, 3, note))
    teller.log.append(e.Checkpoint(**teller.base("server"), trees=trees))
    erased = (e.RecordPosition("access", 0, 0),)
    teller.log.append(
        e.PayloadErased(**teller.base("user:ann"), records=erased, reason="asked", subject="ann")
    )
