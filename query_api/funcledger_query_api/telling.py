"""What is told of a task beside its status, for people: why it failed, and its function's name."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from funcledger_query_api.views import SentTask, with_result
from funcledger_read_models.documents import (
    FUNCTION_CATALOGUE,
    TASK_RESULTS,
    FunctionEntry,
    Key,
    TaskResult,
    TaskStatus,
)
from funcledger_read_models.port import ReadModelStore
from funcledger_schemas.lifecycle import Status

#: Results read at a time: each may hold a traceback and a payload of 64 KiB, of which nothing stays here.
_PIECE = 50


async def add_results(store: ReadModelStore, tasks: Iterable[tuple[TaskStatus, SentTask]]) -> None:
    """Have the views tell what their results do, payloads apart."""
    views: dict[Key, SentTask] = {
        (task.owner, task.task_id, task.endpoint_id): view
        for task, view in tasks
        if Status(task.status).finished
    }
    for keys in _pieces(views):
        known = (await store.load({TASK_RESULTS: keys})).get(TASK_RESULTS, {})
        for key, result in known.items():
            if isinstance(result, TaskResult):
                with_result(views[key], result)


async def add_names(store: ReadModelStore, views: Sequence[SentTask]) -> None:
    """Have the views name their functions, where these are still known."""
    ids = {view.function_id for view in views if view.function_id is not None}
    for keys in _pieces((each,) for each in ids):
        known = (await store.load({FUNCTION_CATALOGUE: keys})).get(FUNCTION_CATALOGUE, {})
        for view in views:
            function = known.get((view.function_id or "",))
            if isinstance(function, FunctionEntry):
                view.function_name = function.name


def _pieces(keys: Iterable[Key]) -> Iterator[list[Key]]:
    left = iter(keys)
    while piece := list(islice(left, _PIECE)):
        yield piece
