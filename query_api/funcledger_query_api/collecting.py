"""Gathers the results of tasks into one bounded answer."""

from collections.abc import Iterable

from funcledger_event_log.records import Token
from funcledger_query_api.landed import Landed
from funcledger_query_api.liveness import offline_among
from funcledger_query_api.payloads import payloads_of
from funcledger_query_api.queries import Queries
from funcledger_query_api.views import SentTask, landed_view, status_view, with_result
from funcledger_query_api.waiting import ANSWER_BYTES, TaskWait
from funcledger_read_models.documents import TASK_RESULTS, TaskResult, TaskStatus
from funcledger_schemas.lifecycle import Status

#: Results loaded at a time: each may be over 100 KiB.
_PIECE = 200


class Collector:
    """The tasks of an answer beside their payloads; what finds no room comes as ``truncated``."""

    def __init__(self, queries: Queries, owner: str, wait: TaskWait, limit: int = ANSWER_BYTES) -> None:
        self._queries, self._owner, self._wait = queries, owner, wait
        self._room, self._sent = limit, False
        self._seen = Token()
        self._finished: list[tuple[SentTask, TaskStatus]] = []
        self.tasks: list[SentTask] = []
        self.payloads: list[bytes] = []
        self.unknown: list[str] = []

    async def collect(self, ids: Iterable[str]) -> None:
        """Gather them; outcomes straight from the log go first, being at hand already."""
        open_tasks = [task for task in self._wait.documents.values() if not self._wait.landed(task.task_id)]
        offline = await offline_among(self._queries.store, open_tasks, self._queries.log_time())
        for task_id in ids:
            landed, document = self._wait.landed(task_id), self._wait.documents.get(task_id)
            if landed is not None:
                self._add_landed(landed, document)
            elif document is None:
                self.unknown.append(task_id)
            elif Status(document.status).finished:
                self._finished.append((status_view(document), document))
            else:
                self._add(status_view(document, offline), b"")
        for at in range(0, len(self._finished), _PIECE):
            await self._add_finished(self._finished[at : at + _PIECE])

    async def position(self, token: Token) -> Token:
        """What the reader of this answer has seen; asks the store only if documents were read from it."""
        token = token.merge(self._seen)
        return await self._queries.position(token) if self._wait.read else token

    def _add(self, view: SentTask, payload: bytes) -> None:
        view.size = len(payload)
        self.tasks.append(view)
        self.payloads.append(payload)

    def _fits(self, size: int) -> bool:
        """Whether there is room, which is then taken; the first one always fits."""
        if self._sent and size > self._room:
            return False
        self._sent = True
        self._room -= size
        return True

    def _add_landed(self, landed: Landed, document: TaskStatus | None) -> None:
        self._seen.advance(landed.where, landed.offset + 1)
        view = landed_view(landed, document)
        if self._fits(landed.size):
            self._add(view, landed.payload)
        else:
            self._truncate(view)

    def _truncate(self, view: SentTask) -> None:
        view.truncated, view.traceback = True, None
        self._add(view, b"")

    async def _add_finished(self, finished: list[tuple[SentTask, TaskStatus]]) -> None:
        if self._room <= 0:
            for view, _ in finished:
                self._truncate(view)
            return
        keys = [(self._owner, task.task_id, task.endpoint_id) for _, task in finished]
        known = (await self._queries.store.load({TASK_RESULTS: keys})).get(TASK_RESULTS, {})
        sent: list[tuple[SentTask, TaskResult]] = []
        for (view, _), key in zip(finished, keys, strict=True):
            result = known.get(key)
            if isinstance(result, TaskResult) and self._fits(_size(result)):
                sent.append((view, result))
            else:
                self._truncate(view)
        payloads = await payloads_of(self._queries.log, [result for _, result in sent])
        for (view, result), payload in zip(sent, payloads, strict=True):
            self._add(with_result(view, result), payload)


def _size(result: TaskResult) -> int:
    return 1024 + result.payload_size + len(result.traceback or "")
