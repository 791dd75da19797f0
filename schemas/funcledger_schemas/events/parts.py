"""Records that stand within events; their fields are documented in the .avsc files."""

import msgspec


class TaskKey(msgspec.Struct, frozen=True, gc=False):
    """Names one task for ever."""

    endpoint_id: str
    owner: str
    task_id: str


class Dependency(msgspec.Struct, frozen=True, gc=False):
    """A task that must end before this one is started, and where its value goes."""

    task: TaskKey
    places: tuple[str, ...]


class OutputTotals(msgspec.Struct, frozen=True, gc=False):
    """What the attempt wrote to the topic `streams`."""

    stdout_bytes: int
    stderr_bytes: int
    items: int
    item_bytes: int
    dropped_bytes: int
    sha256: str


class EndedDependency(msgspec.Struct, frozen=True, gc=False):
    """A dependency that has ended, and where its outcome stands."""

    task: TaskKey
    partition: int
    offset: int
    payload_sha256: str


class TreeHead(msgspec.Struct, frozen=True, gc=False):
    """The Merkle tree over the entries of one partition (RFC 6962, section 2.1)."""

    topic: str
    partition: int
    size: int
    note: str


class RecordPosition(msgspec.Struct, frozen=True, gc=False):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int
