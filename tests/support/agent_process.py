"""An agent as a process of its own over an embedded log, to be killed: says on its output what it appends.

Arguments: the log's directory, the endpoint's id, the seconds between commits, and, to have it kill itself
around an append, "before" or "after" and the event's name, as in ``before:TaskCompleted``.
"""

import asyncio
import os
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
    """Prints the name of each event once it is durable, unless it is to die of it."""

    doom = ""

    def _die_at(self, point: str, events: Sequence[Event]) -> None:
        if self.doom in {f"{point}:{type(event).__name__}" for event in events}:
            os.kill(os.getpid(), signal.SIGKILL)

    async def append(self, events: Sequence[Event]) -> list[int]:
        self._die_at("before", events)
        offsets = await super().append(events)
        self._die_at("after", events)
        for event in events:
            print(type(event).__name__, getattr(event, "task_id", "-"), flush=True)
        return offsets


async def serve(directory: str, endpoint_id: str, commit: str, doom: str = "") -> None:
    log = await SqliteLog.open(Path(directory))
    view = Talkative(log, Identity(endpoint_id, "lab", "ada", PARTITION))
    view.doom = doom
    agent = Agent(view, LocalEngine(2), AgentSettings(commit=float(commit)))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, agent.stop)
    await agent.run()
    await log.close()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
