"""Agents of the simulated endpoints: begun, killed, cut off, rivalled, and begun again."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulation.engine import Ledger, SimEngine
from tests.simulation.link import Link
from tests.simulation.network import Host, Line
from tests.simulation.process import Process
from tests.simulation.scenario import Endpoint
from tests.simulation.storage import Point

from funcledger_endpoint.agent import Agent
from funcledger_endpoint.settings import AgentSettings
from funcledger_event_log.endpoint_port import Fenced


@dataclass
class Running:
    """One agent, as long as it lives."""

    process: Process
    line: Line
    agent: Agent | None = None


@dataclass
class Agents:
    """Everyone who is, or believes to be, the agent of one endpoint."""

    endpoint: Endpoint
    gateway: Host
    ledger: Ledger
    new_process: Callable[[str], Process]
    lossy: float
    point: Point
    say: Callable[[str, str], None]
    #: Told of an agent that ended by an error it should not have had.
    failed: Callable[[str], None]
    #: Told of one that a task has ended.
    felled: Callable[["Agents", Running], None]
    running: list[Running] = field(default_factory=list)

    def begin(self, name: str) -> Running:
        """Start one more."""
        process = self.new_process(name)
        running = Running(process, Line(process, self.lossy))
        self.running.append(running)
        process.spawn(self._run(running))
        return running

    async def _run(self, running: Running) -> None:
        process, endpoint = running.process, self.endpoint
        engine = SimEngine(
            process, self.ledger, endpoint.workers, endpoint.ahead, lambda: self.felled(self, running)
        )
        settings = AgentSettings(drain=2.0, commit=endpoint.commit, read_ahead=endpoint.read_ahead)
        link = Link(running.line, self.gateway, endpoint.endpoint_id, self.point)
        agent = running.agent = Agent(link, engine, settings)
        engine.instance = agent.instance_id
        try:
            await agent.run()
            self.say(process.name, "has stopped in good order")
        except Fenced:
            self.say(process.name, "is fenced, and ends")
        except Exception as error:
            self.failed(f"{process.name} ended by {error!r}")
        self.gone(running)

    def gone(self, running: Running) -> None:
        """It has ended, by itself or by force."""
        running.process.kill()
        if running in self.running:
            self.running.remove(running)
