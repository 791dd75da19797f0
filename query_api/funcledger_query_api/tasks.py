"""Routes that tell how tasks stand and what happened to them."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from funcledger_event_log.records import Token
from funcledger_query_api.answers import described
from funcledger_query_api.history import History, events_of, left_out_of
from funcledger_query_api.listing import TaskList
from funcledger_query_api.liveness import offline_among
from funcledger_query_api.lookup import tasks_of
from funcledger_query_api.parameters import PathId, TaskFilters, Wait
from funcledger_query_api.queries import Queries, SeenHeader, token_of
from funcledger_query_api.telling import add_names, add_results
from funcledger_query_api.views import TaskView, landed_view, listed, shown, status_view
from funcledger_query_api.waiting import TaskWait
from funcledger_read_models.documents import TASK_HISTORY, TaskHistory
from funcledger_web.auth import Principal, allow
from funcledger_web.documentation import problems
from funcledger_web.problems import Problem

Reader = Annotated[Principal, allow("tasks:read")]


class TaskPage(msgspec.Struct, gc=False):
    """Tasks, newest first; the next page begins at ``cursor``. A page may be short and not the last."""

    tasks: list[TaskView]
    cursor: str | None
    position: str


def not_found(task_id: str) -> Problem:
    """The answer to an id that is not there, or not the asker's."""
    return Problem("task-not-found", f"There is no task {task_id} of yours.", task_id=task_id)


def router(queries: Queries) -> APIRouter:
    """The routes of ``/v1/tasks`` that read."""
    routes = APIRouter(
        prefix="/v1/tasks",
        tags=["tasks"],
        route_class=queries.route_class,
        responses=problems("task-not-found", "behind", "read-models-unavailable"),
    )

    @routes.get("", summary="List tasks", responses=described(TaskPage, "A page of tasks."))
    async def list_tasks(
        who: Reader, filters: Annotated[TaskFilters, Query()], seen: SeenHeader = None
    ) -> Response:
        token = await queries.catch_up(seen)
        views, cursor = await TaskList(queries, who.id, filters).page()
        await add_names(queries.store, views)
        position = await queries.position(token)
        return queries.answer(TaskPage([listed(view) for view in views], cursor, str(position)), position)

    @routes.get("/{task_id}", summary="How a task stands", responses=described(TaskView, "The task."))
    async def status(task_id: PathId, who: Reader, wait: Wait = 0, seen: SeenHeader = None) -> Response:
        """With `wait`, answered as soon as there is an outcome."""
        token = token_of(seen)
        waiting = TaskWait(queries, who.id, [task_id])
        with queries.waits.poll(who, wait):
            await waiting.settle(token, wait)
        view, position = await _status(queries, waiting, task_id, token)
        return queries.answer(view, position)

    @routes.get("/{task_id}/history", summary="Everything on the log about a task",
                responses=described(History, "Its events."))  # fmt: skip
    async def history(task_id: PathId, who: Reader, seen: SeenHeader = None) -> Response:
        token = await queries.catch_up(seen)
        task = (await tasks_of(queries.store, who.id, [task_id])).get(task_id)
        key = (who.id, task_id, task.endpoint_id) if task else None
        document = await queries.store.get(TASK_HISTORY, key) if key else None
        if not isinstance(document, TaskHistory):
            raise not_found(task_id)
        events = await events_of(queries.log, document)
        position = await queries.position(token)
        more = left_out_of(document)
        body = History(task_id=task_id, events=events, left_out=more, position=str(position))
        return queries.answer(body, position)

    return routes


async def _status(queries: Queries, waiting: TaskWait, task_id: str, token: Token) -> tuple[TaskView, Token]:
    landed, document = waiting.landed(task_id), waiting.documents.get(task_id)
    if landed is not None:
        token.advance(landed.where, landed.offset + 1)
        view = landed_view(landed, document)
    elif document is not None:
        offline = await offline_among(queries.store, [document], queries.log_time())
        view = status_view(document, offline)
        await add_results(queries.store, [(document, view)])
    else:
        raise not_found(task_id)
    await add_names(queries.store, [view])
    return shown(view), await queries.position(token) if waiting.read else token
