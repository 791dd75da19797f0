"""Routes that submit and cancel tasks."""

from collections.abc import Collection, Iterable
from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from funcledger_command_api import bodies
from funcledger_command_api.answers import CancelAnswer, TasksAnswer, answer
from funcledger_command_api.backlog import Backlog
from funcledger_command_api.commands import Commands, Seen, traceparent
from funcledger_command_api.models import (
    CancelMany,
    CancelOne,
    Group,
    Id,
    TaskJson,
    TaskName,
    TasksHead,
    TasksJson,
    Terms,
)
from funcledger_command_api.ownership import endpoint_not_found
from funcledger_command_api.submission import Batch, Lot
from funcledger_command_api.submitting import Submitter
from funcledger_event_log.records import NewRecord
from funcledger_schemas import clock
from funcledger_schemas.events import TaskCancelRequested
from funcledger_schemas.ids import new_id
from funcledger_web.auth import Principal, allow
from funcledger_web.catalogue import Endpoint
from funcledger_web.documentation import frame_body, problems
from funcledger_web.handlers import invalid_field

Writer = Annotated[Principal, allow("tasks:write")]
_PROBLEMS = problems(
    "function-not-found", "endpoint-not-found", "payload-too-large", "conflict", "unsupported-media-type",
    "backlog-full", "behind", "log-unavailable", "outcome-unknown", "log-full",
)  # fmt: skip


def router(commands: Commands, backlog: Backlog) -> APIRouter:
    """The routes of ``/v1/tasks`` that change something."""
    routes = APIRouter(prefix="/v1/tasks", tags=["tasks"], responses=_PROBLEMS)
    submitter = Submitter(commands, backlog)

    @routes.post(
        "",
        status_code=202,
        response_model=TasksAnswer,
        summary="Submit tasks: one, or thousands",
        openapi_extra=frame_body("Tasks, all or none of which are taken.", TasksHead, TasksJson),
    )
    async def submit(request: Request, who: Writer, seen: Seen = None) -> Response:
        await commands.catch_up(seen)
        body = await request.body()
        if bodies.is_frame(request):
            head, lots = _from_frame(body)
            batch = _batch(request, who, head.batch_id, head.batch_size)
            return await accept(batch, lots, None)
        listed = bodies.parse(TasksJson, body)
        batch_id = listed.batch_id or new_id()
        lots, task_ids = _from_json(listed)
        size = listed.batch_size if listed.batch_id else len(task_ids)
        return await accept(_batch(request, who, batch_id, size), lots, task_ids)

    async def accept(batch: Batch, lots: list[Lot], task_ids: list[str] | None) -> Response:
        count = sum(len(lot.task_ids) for lot in lots)
        token = await submitter.submit(batch, lots)
        body = TasksAnswer(position=str(token), batch_id=batch.batch_id, accepted=count, task_ids=task_ids)
        return answer(202, token, body)

    @routes.post(
        "/cancel", status_code=202, response_model=CancelAnswer, summary="Ask for tasks to be cancelled"
    )
    async def cancel_many(request: Request, asked: CancelMany, who: Writer, seen: Seen = None) -> Response:
        """`accepted` counts each task once, however often it is named."""
        await commands.catch_up(seen)
        return await cancel(request, who, asked.tasks)

    @routes.post(
        "/{task_id}/cancel",
        status_code=202,
        response_model=CancelAnswer,
        summary="Ask for a task to be cancelled",
    )
    async def cancel_one(
        request: Request, task_id: Id, asked: CancelOne, who: Writer, seen: Seen = None
    ) -> Response:
        await commands.catch_up(seen)
        return await cancel(request, who, [TaskName(task_id=task_id, **asked.model_dump())])

    async def cancel(request: Request, who: Principal, tasks: list[TaskName]) -> Response:
        batch = _batch(request, who, "", None)
        partitions = await _partitions(commands, who, {task.endpoint_id for task in tasks})
        made = [_cancel_record(batch, task, partitions[task.endpoint_id]) for task in _once_each(tasks)]
        token = await commands.append(made)
        return answer(202, token, CancelAnswer(position=str(token), accepted=len(made)))

    return routes


def _batch(request: Request, who: Principal, batch_id: str, size: int | None) -> Batch:
    return Batch(who, batch_id, size, clock.micros(), traceparent(request))


def _from_frame(body: bytes) -> tuple[TasksHead, list[Lot]]:
    """The head of a frame of tasks, and its lots with their payloads."""
    head, start = bodies.parse_head(TasksHead, body)
    payloads = bodies.cut(body, start, [size for group in head.groups for size in group.sizes])
    lots, at = [], 0
    for place, group in enumerate(head.groups):
        _check_columns(place, group)
        end = at + len(group.sizes)
        lots.append(
            Lot(group, group.task_ids, group.batch_indexes or [None] * len(group.sizes), payloads[at:end])
        )
        at = end
    return head, lots


def _check_columns(place: int, group: Group) -> None:
    for name in ("sizes", "batch_indexes"):
        column = getattr(group, name)
        if column is not None and len(column) != len(group.task_ids):
            message = f"{len(column)} of them for {len(group.task_ids)} task_ids"
            raise invalid_field(f"groups.{place}.{name}", message)


def _from_json(listed: TasksJson) -> tuple[list[Lot], list[str]]:
    """A lot for each task of the list, and the tasks' ids in the order sent."""
    own = listed.batch_id is None
    lots = []
    for place, task in enumerate(listed.tasks):
        index = place if own and task.batch_index is None else task.batch_index
        lots.append(Lot(_terms(task), [task.task_id or new_id()], [index], [task.payload]))
    return lots, [lot.task_ids[0] for lot in lots]


def _terms(task: TaskJson) -> Terms:
    return Terms.model_construct(**{name: getattr(task, name) for name in Terms.model_fields})


async def _partitions(commands: Commands, who: Principal, endpoint_ids: Collection[str]) -> dict[str, int]:
    """Where each endpoint's tasks are: also of one that was deleted or unshared since they were sent.

    No task is looked up, for commands know none: a key holds its owner, so nobody cancels but his own. What
    asks for a task that is not there is one record on the feed of an endpoint that its sender could use.

    Raises:
        Problem: 404, naming an endpoint that was never open to this user, as if it were not there.
    """
    if any(_once_open(commands, who, each) is None for each in endpoint_ids):
        await commands.refresh()
    found = {}
    for each in endpoint_ids:
        endpoint = _once_open(commands, who, each)
        if endpoint is None:
            raise endpoint_not_found(each)
        found[each] = endpoint.partition
    return found


def _once_open(commands: Commands, who: Principal, endpoint_id: str) -> Endpoint | None:
    known = commands.catalogue.endpoints.get(endpoint_id)
    return known if known is not None and known.was_open_to(who) else None


def _once_each(tasks: Iterable[TaskName]) -> list[TaskName]:
    """The tasks in the order first named, each once: to ask twice in one request changes nothing."""
    named: dict[tuple[str, str], TaskName] = {}
    for task in tasks:
        named.setdefault((task.endpoint_id, task.task_id), task)
    return list(named.values())


def _cancel_record(batch: Batch, task: TaskName, partition: int) -> NewRecord:
    event = TaskCancelRequested(
        event_id=new_id(),
        occurred_at=batch.occurred_at,
        actor=batch.who.actor,
        endpoint_id=task.endpoint_id,
        owner=batch.who.id,
        task_id=task.task_id,
        batch_id=task.batch_id,
    )
    return NewRecord.of(event, partition, batch.extra)
