"""One app of every room's routes, over a log in memory, for what must hold of each of them."""

from fastapi import FastAPI
from tests.support.apps import app_of
from tests.support.commands import with_topics

from funcledger_command_api.api import routers as command_routers
from funcledger_event_log.fence import Fence
from funcledger_event_log.follower import Tail
from funcledger_event_log.memory import MemoryLog
from funcledger_gateway.door import Door
from funcledger_gateway.fencing import EpochTail
from funcledger_gateway.routes import routers as gateway_routers
from funcledger_query_api import schema_registry
from funcledger_query_api.api import QuerySide
from funcledger_read_models.memory import MemoryStore
from funcledger_web.catalogue import TOPICS, Catalogue


async def whole_app() -> FastAPI:
    """The app; nothing behind its routes is started, so it answers what needs no more than its seam."""
    log, catalogue = await with_topics(MemoryLog()), Catalogue()
    tail = Tail(log, TOPICS, catalogue.apply, name="catalogue")
    door = Door(log, EpochTail(log, Fence(), {}), catalogue, tail)
    query = QuerySide(log, MemoryStore())
    return app_of(
        *command_routers(log, catalogue, tail),
        *query.routers(),
        schema_registry.router(),
        *gateway_routers(door),
    )
