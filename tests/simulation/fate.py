"""What goes wrong in a run, as its scenario has it: traps at points, and troubles at times."""

import asyncio

from tests.simulation.agents import Agents
from tests.simulation.deployment import Deployment
from tests.simulation.process import Process
from tests.simulation.scenario import SERVICES, Scenario, Trap, Trouble

#: How often storage fails in bad weather.
_BAD = 0.3


class Fate:
    """Befalls a deployment until :meth:`relent`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, plan: Scenario, deployment: Deployment) -> None:
        self._loop, self._plan, self._deployment = loop, plan, deployment
        self._passed: dict[tuple[str, str], int] = {}
        self._relented = False
        deployment.point = self.point

    def begin(self) -> None:
        """From now on."""
        for trouble in self._plan.troubles:
            self._loop.call_later(trouble.at, self._befall, trouble)
        for agents in self._deployment.agents:
            if agents.endpoint.leaves is not None:
                self._loop.call_later(agents.endpoint.leaves, self._deployment.leave, agents)

    def point(self, process: Process, point: str) -> bool:
        """Whether the process dies at this point, where it has just come to."""
        process.check()
        kind = process.name.partition(".")[0].partition("-")[0]
        times = self._passed[kind, point] = self._passed.get((kind, point), 0) + 1
        for trap in self._plan.traps:
            if (trap.whom, trap.point, trap.nth) == (kind, point, times) and not self._relented:
                self._spring(trap, process)
                return True
        return False

    def _spring(self, trap: Trap, process: Process) -> None:
        why = f"{trap.point} no. {trap.nth}"
        for agents in self._deployment.agents:
            for running in agents.running:
                if running.process is process:
                    self._deployment.kill_agent(agents, running, trap.seconds, why)
                    return
        self._deployment.kill(trap.whom, trap.seconds, why)

    def _befall(self, trouble: Trouble) -> None:
        if trouble.what == "kill":
            self._deployment.kill(trouble.whom, trouble.seconds, "by chance")
        elif trouble.what == "weather":
            self._deployment.weather.failing = _BAD
            self._loop.call_later(trouble.seconds, self._clear)
        else:
            self._befall_agent(trouble, self._deployment.agents_of(trouble.whom))

    def _befall_agent(self, trouble: Trouble, agents: Agents) -> None:
        if not agents.running:
            return
        running = agents.running[-1]
        if trouble.what == "stop":
            self._deployment.stop_agent(agents, running, trouble.seconds)
            return
        if trouble.what in ("cut", "rival"):
            running.line.cut()
            self._loop.call_later(trouble.seconds, running.line.mend)
        if trouble.what in ("rival", "race"):
            self._deployment.rival(agents)

    def _clear(self) -> None:
        self._deployment.weather.failing = 0.0 if self._relented else self._plan.failing

    def relent(self) -> None:
        """No more of it: what is cut is mended, what is down is begun."""
        self._relented = True
        self._clear()
        for name in SERVICES:
            self._deployment.begin(name)
        for agents in self._deployment.agents:
            agents.lossy = 0.0
            for running in agents.running:
                running.line.mend()
                running.line.trust()
            self._deployment.begin_agent(agents)
