"""The services of a deployment, of the product's classes; each listens in a process that comes and goes."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from tests.simulation.process import Process
from tests.simulation.scenario import PlannedTask, Request

from funcledger_command_api.backlog import Backlog
from funcledger_command_api.commands import Commands
from funcledger_command_api.models import Terms
from funcledger_command_api.submission import Batch, Lot
from funcledger_command_api.submitting import Submitter
from funcledger_event_log.follower import Tail
from funcledger_event_log.port import EventLog
from funcledger_event_log.records import NewRecord, Token
from funcledger_gateway.door import Door
from funcledger_gateway.fencing import EpochTail
from funcledger_gateway.keeper import Keeper
from funcledger_projectors.runner import Projector
from funcledger_query_api.api import QuerySide
from funcledger_query_api.seen import Seen
from funcledger_query_api.stream import ResultStream
from funcledger_read_models.port import ReadModelStore
from funcledger_schemas import clock
from funcledger_schemas.events import TaskCancelRequested
from funcledger_schemas.ids import new_id
from funcledger_web import catalogue as catalogues
from funcledger_web.auth import Principal
from funcledger_web.catalogue import Catalogue

FUNCTION = "00000000-0000-7000-8000-f00000000001"


async def _known(log: EventLog) -> tuple[Catalogue, Tail]:
    catalogue = Catalogue()
    tail = Tail(log, catalogues.TOPICS, catalogue.apply, name="catalogue")
    await tail.start()
    return catalogue, tail


class Api:
    """The command side, below its routes."""

    def __init__(self, commands: Commands, backlog: Backlog) -> None:
        self._commands = commands
        self.backlog = backlog
        self._submitter = Submitter(commands, backlog)

    @classmethod
    async def begin(cls, log: EventLog, _store: ReadModelStore) -> "Api":
        catalogue, tail = await _known(log)
        backlog = Backlog(log)
        await backlog.start()
        return cls(Commands(log, catalogue, tail), backlog)

    async def submit(self, request: Request, endpoint_id: str) -> Token:
        """What POST /v1/tasks does."""
        batch = Batch(Principal("user", request.owner), request.batch_id, None, clock.micros(), ())
        return await self._submitter.submit(batch, [_lot(task, endpoint_id) for task in request.tasks])

    async def cancel(self, request: Request, task: PlannedTask, endpoint_id: str, partition: int) -> Token:
        """What POST /v1/tasks/{id}/cancel does."""
        event = TaskCancelRequested(
            event_id=new_id(),
            occurred_at=clock.micros(),
            actor=f"user:{request.owner}",
            endpoint_id=endpoint_id,
            owner=request.owner,
            task_id=task.task_id,
            batch_id=request.batch_id,
        )
        return await self._commands.append([NewRecord.of(event, partition)])


def _lot(task: PlannedTask, endpoint_id: str) -> Lot:
    terms = Terms.model_construct(
        endpoint_id=endpoint_id,
        function_id=FUNCTION,
        payload_format="pickle",
        walltime=None,
        max_attempts=task.max_attempts,
        expires_in=task.expires_in,
        resource_specification=None,
        endpoint_config=None,
    )
    return Lot(terms, [task.task_id], [None], [b"." * task.size])


async def begin_gateway(log: EventLog, store: ReadModelStore) -> Door:
    """The endpoints' door, with its fence and its keeper."""
    catalogue, tail = await _known(log)
    epochs = await EpochTail.over(log, store)
    await epochs.start()
    await Keeper(log, store).start()
    return Door(log, epochs, catalogue, tail)


async def begin_projector(log: EventLog, store: ReadModelStore) -> Projector:
    """What folds the log into the store."""
    projector = Projector(log, store)
    await projector.start()
    return projector


class Queries:
    """The query side, below its routes."""

    def __init__(self, log: EventLog, store: ReadModelStore, side: QuerySide) -> None:
        self._log, self._store, self.side = log, store, side

    @classmethod
    async def begin(cls, log: EventLog, store: ReadModelStore) -> "Queries":
        side = QuerySide(log, store)
        await side.start()
        return cls(log, store, side)

    def stream(self, owner: str, batches: list[str], resume: str) -> Any:
        """What GET /v1/stream sends."""
        parts = (self._log, self._store, self.side.progress, self.side.feed)
        return ResultStream(*parts, owner=owner, batches=batches, seen=Seen.parse(resume)).frames()


Begin = Callable[[EventLog, ReadModelStore], Coroutine[Any, Any, Any]]
BEGIN: dict[str, Begin] = {
    "api": Api.begin,
    "gateway": begin_gateway,
    "projector": begin_projector,
    "query": Queries.begin,
}


@dataclass
class Service:
    """One service of the deployment, in its present process."""

    name: str
    process: Process | None = None
    part: Any = None

    @property
    def listening(self) -> tuple[Process, Any] | None:
        """As ``Host`` says: not before it has begun."""
        if self.process is None or not self.process.alive or self.part is None:
            return None
        return self.process, self.part
