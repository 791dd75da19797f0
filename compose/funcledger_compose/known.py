"""Whether queries know already what a server that says it is ready may be asked for."""

import asyncio
import logging

from funcledger_compose.services import Services
from funcledger_event_log.port import EventLog
from funcledger_read_models.port import ReadModelStore

_log = logging.getLogger(__name__)

#: Seconds that being ready waits for the read models, and between looks at what may keep them.
_PATIENCE, _LOOK = 10.0, 0.1


async def endpoints_known(log: EventLog, store: ReadModelStore, services: Services) -> None:
    """Wait until the services have begun, and the read models hold every endpoint that is registered."""
    await services.begun()
    end = asyncio.get_running_loop().time() + _PATIENCE
    wanted = await log.ends("endpoints")
    while (left := end - asyncio.get_running_loop().time()) > 0 and not await services.missing():
        there = await store.positions()
        if all(there.get(("endpoints", partition), 0) >= offset for partition, offset in wanted.items()):
            return
        await store.wait_change(min(left, _LOOK))
    _log.warning("the read models are behind the log: queries may not know yet what was registered lately")
