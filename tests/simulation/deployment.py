"""A deployment's processes: which there are now, and how each is begun, killed and begun again."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from tests.simulation.agents import Agents, Running
from tests.simulation.engine import Ledger
from tests.simulation.process import Process
from tests.simulation.scenario import SERVICES, Scenario
from tests.simulation.services import BEGIN, Service
from tests.simulation.storage import LogOf, StoreOf, Weather

from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.port import LogError
from funcledger_read_models.memory import MemoryStore
from funcledger_read_models.port import StoreError
from funcledger_schemas import clock

_HOUR = 3600.0
#: Seconds after which a service that could not begin tries again, as under a supervisor.
_AGAIN = 0.1
#: Seconds that an agent may take to leave in good order.
_LEAVING = 3.0


class Deployment:
    """The log, the store, the services and the agents. ``point`` is asked wherever a process may die."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, plan: Scenario, ledger: Ledger, say: Callable[[str, str], None]
    ) -> None:
        self._loop, self._plan, self._say = loop, plan, say
        self.log: Final = MemoryLog()
        self.store: Final = MemoryStore()
        self.weather: Final = Weather(plan.latency, plan.failing)
        self.point: Callable[[Process, str], bool] = lambda _process, _point: False
        #: What went wrong with a process that the laws do not allow.
        self.failures: Final[list[str]] = []
        self._lives: dict[str, int] = {}
        self.clock: Final = self.new_process("log", skewed=False).clock
        self.services: Final = {name: Service(name) for name in SERVICES}
        self.agents: Final = [
            Agents(
                endpoint, self.services["gateway"], ledger, self.new_process, plan.lossy,
                lambda process, point: self.point(process, point), say, self.failures.append,
                lambda agents, running: self.kill_agent(agents, running, _AGAIN, "by its task"),
            )
            for endpoint in plan.endpoints
        ]  # fmt: skip

    def new_process(self, name: str, *, skewed: bool = True) -> Process:
        """The next life of what has this name."""
        life = self._lives[name] = self._lives.get(name, 0) + 1
        process = Process(self._loop, f"{name}.{life}", str(self._plan.seed))
        if skewed and self._plan.skewed:
            process.clock.skew(process.dice.uniform(-_HOUR, _HOUR))
        return process

    def begin(self, name: str) -> None:
        """Begin a service, unless it runs."""
        service = self.services[name]
        if service.process is not None and service.process.alive:
            return
        service.process, service.part = self.new_process(name), None
        service.process.spawn(self._serve(service, service.process))

    async def _serve(self, service: Service, process: Process) -> None:
        def point(process: Process, point: str) -> bool:
            return self.point(process, point)

        log = LogOf(self.log, self.clock, process, point, self.weather)
        store = StoreOf(self.store, process, point, self.weather)
        while True:
            try:
                part = await BEGIN[service.name](log, store)
                break
            except (LogError, StoreError) as error:
                self._say(process.name, f"cannot begin: {error}")
                await clock.sleep(_AGAIN)
        if process.alive:
            service.part = part
            self._say(process.name, "listens")

    def kill(self, name: str, seconds: float, why: str) -> None:
        """Kill a service or an endpoint's newest agent; it begins again after so long."""
        if name in self.services:
            for each in SERVICES if self._plan.together else (name,):
                self._kill_service(each, seconds, why)
        elif (agents := self.agents_of(name)).running:
            self.kill_agent(agents, agents.running[-1], seconds, why)

    def _kill_service(self, name: str, seconds: float, why: str) -> None:
        process = self.services[name].process
        if process is not None and process.alive:
            self._say(process.name, f"is killed: {why}")
            process.kill()
            # They come back one after the other, in any order.
            self._loop.call_later(seconds * (0.5 + process.dice.random()), self.begin, name)

    def kill_agent(self, agents: Agents, running: Running, seconds: float, why: str) -> None:
        """Kill this one; one begins after so long, if there is none then."""
        self._say(running.process.name, f"is killed: {why}")
        agents.gone(running)
        self._loop.call_later(seconds, self.begin_agent, agents)

    def begin_agent(self, agents: Agents) -> None:
        """Begin an agent, unless one runs or the endpoint has been left for good."""
        leaves = agents.endpoint.leaves
        if not agents.running and (leaves is None or self._loop.time() < leaves):
            self._say(agents.begin(self._name(agents)).process.name, "begins")

    def rival(self, agents: Agents) -> None:
        """Begin an agent although another runs."""
        self._say(agents.begin(self._name(agents)).process.name, "begins as a rival")

    def stop_agent(self, agents: Agents, running: Running, seconds: float) -> None:
        """Tell it to stop in good order; one begins so long after that."""
        if running.agent is not None:
            running.agent.stop()
            self._loop.call_later(seconds + _LEAVING, self.begin_agent, agents)

    def leave(self, agents: Agents) -> None:
        """Kill every agent of the endpoint, for good."""
        for running in list(agents.running):
            self._say(running.process.name, "is killed, and never comes back")
            agents.gone(running)

    def agents_of(self, name: str) -> Agents:
        """The agents that go by this name."""
        return self.agents[int(name.partition("-")[2])]

    def _name(self, agents: Agents) -> str:
        return f"agent-{self.agents.index(agents)}"

    def processes(self) -> Iterator[Process]:
        """All that live."""
        for service in self.services.values():
            if service.process is not None:
                yield service.process
        for agents in self.agents:
            yield from (running.process for running in agents.running)
