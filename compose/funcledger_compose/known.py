"""Whether queries know already what a server that says it is ready may be asked for."""

import asyncio
import contextlib
import logging

from funcledger_compose.services import Services
from funcledger_event_log.port import EventLog, LogUnavailable
from funcledger_read_models.port import ReadModelStore, StoreUnavailable

_log = logging.getLogger(__name__)

#: Seconds that being ready waits for the read models, and between looks at what may keep them.
_PATIENCE, _LOOK = 10.0, 0.1


async def endpoints_known(log: EventLog, store: ReadModelStore, services: Services) -> None:
    """Wait until the services have begun, and the read models hold every endpoint that is registered."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            await services.begun()
            while not await services.missing():
                if await _known(log, store):
                    return
                await store.wait_change(_LOOK)
    _log.warning("the read models are behind the log: queries may not know yet what was registered lately")


async def _known(log: EventLog, store: ReadModelStore) -> bool:
    try:
        wanted, there = await log.ends("endpoints"), await store.positions()
    except (LogUnavailable, StoreUnavailable) as error:
        _log.debug("what the read models know cannot be told: %s", error)
        return False
    return all(there.get(("endpoints", partition), 0) >= end for partition, end in wanted.items())
