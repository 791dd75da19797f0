"""What a run leaves behind beside its log: the client's record, the side file, and the killer's record."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


class Call(NamedTuple):
    """What the client was about to submit; ``expect`` is the value or exception, as :func:`shown` has it."""

    token: int
    kind: str
    expect: str
    max_attempts: int


class Got(NamedTuple):
    """What the client was told of a task's outcome; ``value`` is None where there is none."""

    status: str
    kind: str | None
    value: str | None


class Execution(NamedTuple):
    """A line of the side file: a worker began a call; ``at`` is in ns since 1970."""

    token: int
    worker: int
    agent: int
    at: int


class Strike(NamedTuple):
    """A signal that was sent; RIVAL is none: the process is one more agent, which takes the endpoint over."""

    at: int
    signal: str
    role: str
    pid: int


class Seen(NamedTuple):
    """A process of the product, and when it was created, in ns since 1970."""

    role: str
    pid: int
    parent: int
    created: int


@dataclass
class Client:
    """The client's record: what it was about to do, and what it knows of it."""

    calls: dict[int, Call] = field(default_factory=dict)
    #: Task ids by token: of acknowledged submissions, and of those that an executor took over.
    acknowledged: dict[int, str] = field(default_factory=dict)
    named: dict[int, str] = field(default_factory=dict)
    #: Tokens of submissions that raised, and why: they may have arrived or not.
    unknown: dict[int, str] = field(default_factory=dict)
    #: Tokens of calls taken back before they were sent.
    unsent: set[int] = field(default_factory=set)
    cancelling: set[str] = field(default_factory=set)
    got: dict[str, set[Got]] = field(default_factory=dict)
    surprises: list[str] = field(default_factory=list)


@dataclass
class Evidence:
    """All that the auditor is given beside the log."""

    client: Client
    executions: list[Execution]
    strikes: list[Strike]
    processes: list[Seen]
    #: Of every task that the query side knows: status, attempts, kind of failure.
    statuses: dict[str, tuple[str, int, str | None]]
    #: The same from read models rebuilt from the log, and whether these equal the live ones.
    rebuilt: dict[str, tuple[str, int, str | None]]
    rebuild_differs: list[str]
    #: Per partition, the SHA-256 over its leaf hashes as the product computes them.
    leaves: dict[str, str]
    #: Processes that ended by themselves, and how.
    endings: list[str]


def shown(value: object) -> str:
    """A value, comparable and short: bytes by size and hash."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes, SHA-256 {hashlib.sha256(value).hexdigest()}"
    return f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else repr(value)


def read_client(path: Path) -> Client:
    """The client's record, from its file of a JSON object a line."""
    client = Client()
    pending: dict[int, list[int]] = {}
    for line in _lines(path):
        _note(client, pending, line)
    return client


def _note(client: Client, pending: dict[int, list[int]], line: dict[str, Any]) -> None:
    say = line["say"]
    if say == "sending":
        calls = [Call(*call) for call in line["calls"]]
        client.calls |= {call.token: call for call in calls}
        pending[line["submission"]] = [call.token for call in calls]
    elif say in ("acknowledged", "named"):
        ids = dict(zip(pending[line["submission"]], line["tasks"], strict=True))
        (client.acknowledged if say == "acknowledged" else client.named).update(ids)
    elif say == "unknown":
        client.unknown |= dict.fromkeys(pending[line["submission"]], line["error"])
    elif say == "unsent":
        client.unsent |= set(pending[line["submission"]])
    elif say == "cancelling":
        client.cancelling.add(line["task"])
    elif say == "got":
        for task_id, got in line["tasks"].items():
            client.got.setdefault(task_id, set()).add(Got(*got))
    else:
        client.surprises.append(line["error"])


def read_executions(path: Path) -> list[Execution]:
    """The side file."""
    return (
        [Execution(*map(int, line.split())) for line in path.read_text().splitlines()]
        if path.exists()
        else []
    )


def read_killer(path: Path) -> tuple[list[Strike], list[Seen]]:
    """What was sent to whom, and who was seen."""
    strikes, seen = [], []
    for line in _lines(path):
        if line["say"] == "struck":
            strikes.append(Strike(line["at"], line["signal"], line["role"], line["pid"]))
        else:
            seen.append(Seen(line["role"], line["pid"], line["parent"], line["created"]))
    return strikes, seen


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open() as file:
        for line in file:
            yield json.loads(line)
