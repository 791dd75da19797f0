"""Lists an owner's tasks, newest first, by filters that the read models know and one that they do not."""

from collections.abc import Collection

from funcledger_query_api.liveness import offline_among
from funcledger_query_api.lookup import is_submitted
from funcledger_query_api.parameters import TaskFilters, cursor_of, key_of
from funcledger_query_api.queries import Queries
from funcledger_query_api.telling import add_results
from funcledger_query_api.views import SentTask, status_view
from funcledger_read_models.documents import TASK_STATUS, TaskStatus
from funcledger_schemas.lifecycle import Status

#: Whether an endpoint is online is no field of a task: ``received`` in the store is either of these.
_BY_LIVENESS = (Status.RECEIVED, Status.WAITING)


class TaskList:
    """One page of tasks."""

    def __init__(self, queries: Queries, owner: str, filters: TaskFilters) -> None:
        self._queries, self._owner, self._filters = queries, owner, filters

    async def page(self) -> tuple[list[SentTask], str | None]:
        """The tasks and the next page's cursor; looks at no more tasks than a page may have.

        Raises:
            Problem: the cursor is not one.
        """
        after = key_of(self._filters.cursor, (self._owner,), 2)
        found = await self._queries.store.find(
            TASK_STATUS,
            (self._owner,),
            self._where(),
            after=after,
            limit=self._filters.limit,
            descending=True,
        )
        tasks = [task for task in found if isinstance(task, TaskStatus) and is_submitted(task)]
        offline = await offline_among(self._queries.store, tasks, self._queries.log_time())
        full = len(found) == self._filters.limit
        cursor = cursor_of(TASK_STATUS.key_of(found[-1])[1:]) if full else None
        views = [status_view(task, offline) for task in tasks]
        failed = [
            (task, view) for task, view in zip(tasks, views, strict=True) if view.status == Status.FAILED
        ]
        await add_results(self._queries.store, failed)
        wanted = self._filters.status
        return [view for view in views if wanted is None or view.status == wanted], cursor

    def _where(self) -> dict[str, str | bool | Collection[str]]:
        wanted = self._filters.model_dump(
            include={"endpoint_id", "function_id", "batch_id"}, exclude_none=True
        )
        status = self._filters.status
        if status is not None:
            wanted["status"] = Status.RECEIVED.value if status in _BY_LIVENESS else status.value
        return wanted
