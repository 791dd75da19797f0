"""An agent as a process of its own over an embedded log, to be killed: says on its output what it appends.

Arguments: the log's directory, the endpoint's id, and the seconds between commits.
"""

import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.endpoint import PARTITION

from funcledger_endpoint.agent import Agent
from funcledger_endpoint.local.engine import LocalEngine
from funcledger_endpoint.settings import AgentSettings
from funcledger_event_log.direct import DirectEndpointLog
from funcledger_event_log.endpoint_port import Identity
from funcledger_event_log.sqlite.log import SqliteLog
from funcledger_schemas.events import Event


class Talkative(DirectEndpointLog):
    """Prints the name of each event once it is durable."""

    async def append(self, events: Sequence[Event]) -> list[int]:
        offsets = await super().append(events)
        for event in events:
            print(type(event).__name__, getattr(event, "task_id", "-"), flush=True)
        return offsets


async def serve(directory: str, endpoint_id: str, commit: str) -> None:
    log = await SqliteLog.open(Path(directory))
    view = Talkative(log, Identity(endpoint_id, "lab", "ada", PARTITION))
    agent = Agent(view, LocalEngine(2), AgentSettings(commit=float(commit)))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, agent.stop)
    await agent.run()
    await log.close()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:4]))
