"""A batch's tasks from the read models: the finished ones in the order of the log, and those that run."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence

from funcledger_event_log.port import EventLog, LogCorrupt
from funcledger_query_api.payloads import payloads_of
from funcledger_read_models.documents import (
    BATCH_RESULTS,
    TASK_RESULTS,
    BatchResult,
    Key,
    TaskResult,
)
from funcledger_read_models.port import ReadModelStore
from funcledger_schemas.lifecycle import Status

FINISHED = tuple(status.value for status in Status if status.finished)
#: Most results of one piece, and most bytes of their payloads (beyond the first result).
_PIECE, _PIECE_BYTES = 500, 1024 * 1024
_PAGE = 2000

#: Results beside their payloads; None where the log is damaged: who asks for that one by name is told.
Results = list[tuple[TaskResult, bytes | None]]
#: Whether a stream wants the outcome at (partition, offset).
Wanted = Callable[[int, int], bool]


async def finished_of(
    log: EventLog, store: ReadModelStore, owner: str, batches: Iterable[str], wanted: Wanted
) -> AsyncIterator[Results]:
    """The wanted results with their payloads, in pieces; rising offsets within each partition.

    Raises:
        StoreUnavailable, LogUnavailable: try again later.
    """
    found = sorted([place async for place in _places(store, owner, batches, wanted)])
    for at in range(0, len(found), _PIECE):
        places = found[at : at + _PIECE]
        documents = (await store.load({TASK_RESULTS: [key for *_, key in places]})).get(TASK_RESULTS, {})
        results = [
            result
            for _, offset, key in places
            if isinstance(result := documents.get(key), TaskResult) and result.offset == offset
        ]
        for piece in _pieces(results):
            yield await _with_payloads(log, piece)


async def _with_payloads(log: EventLog, piece: Sequence[TaskResult]) -> Results:
    try:
        return list(zip(piece, await payloads_of(log, piece), strict=True))
    except LogCorrupt:
        return [(result, result.payload if result.payload_size else b"") for result in piece]


async def _places(
    store: ReadModelStore, owner: str, batches: Iterable[str], wanted: Wanted
) -> AsyncIterator[tuple[int, int, Key]]:
    async for task in _tasks(store, owner, batches, FINISHED):
        if task.partition is None or task.outcome_offset is None:
            continue
        if wanted(task.partition, task.outcome_offset):
            yield task.partition, task.outcome_offset, (owner, task.task_id, task.endpoint_id)


async def running_of(store: ReadModelStore, owner: str, batches: Iterable[str]) -> AsyncIterator[str]:
    """The ids of those that have begun and not ended.

    Raises:
        StoreUnavailable: try again later.
    """
    async for task in _tasks(store, owner, batches, (Status.RUNNING.value,)):
        yield task.task_id


async def _tasks(
    store: ReadModelStore, owner: str, batches: Iterable[str], statuses: Collection[str]
) -> AsyncIterator[BatchResult]:
    for batch_id in dict.fromkeys(batches):
        after: Key | None = None
        while page := await store.find(
            BATCH_RESULTS, (owner, batch_id), {"status": statuses}, after=after, limit=_PAGE
        ):
            for task in page:
                assert isinstance(task, BatchResult)
                yield task
            after = BATCH_RESULTS.key_of(page[-1])


def _pieces(results: Sequence[TaskResult]) -> Iterator[list[TaskResult]]:
    piece: list[TaskResult] = []
    size = 0
    for result in results:
        if piece and size + result.payload_size > _PIECE_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(result)
        size += result.payload_size
    if piece:
        yield piece
