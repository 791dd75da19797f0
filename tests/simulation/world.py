"""One run: a deployment in virtual time, its client, what befalls it, and how it comes to rest."""

import asyncio
import gc
import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest import mock

from tests.simulation.client import Client
from tests.simulation.deployment import Deployment
from tests.simulation.engine import Ledger
from tests.simulation.fate import Fate
from tests.simulation.loop import Stalled, VirtualLoop
from tests.simulation.network import Line
from tests.simulation.oracle import Evidence, violations
from tests.simulation.outcomes import Outcomes
from tests.simulation.process import of_process
from tests.simulation.scenario import SERVICES, TROUBLE, Scenario, scenario
from tests.simulation.services import FUNCTION

from funcledger_endpoint.machine import Machine, Usage
from funcledger_event_log.records import NewRecord
from funcledger_schemas import clock
from funcledger_schemas.envelope import BY_ENDPOINT, TOPICS
from funcledger_schemas.events import EndpointRegistered, FunctionRegistered

#: Virtual seconds after the last trouble by which everything must have ended.
_PATIENCE = 120.0
#: Virtual seconds that nothing more may happen in, once everything has ended.
_SILENCE = 1.0
_LOOK = 0.25
_MACHINE = Machine("host", "platform", "3.11", "0", "")
_USAGE = Usage(2, 1, 1, 0.0)

#: Told of each line of the story: virtual seconds, who, and what.
Say = Callable[[float, str, str], None]


class World:
    """Everything there is in one run."""

    def __init__(self, plan: Scenario, say: Say | None = None) -> None:
        self._plan, self._teller = plan, say
        self._loop = VirtualLoop()
        self._loop.set_task_factory(of_process)
        self._loop.set_exception_handler(self._unhandled)
        self._ledger = Ledger(plan.behaviours)
        self._deployment = Deployment(self._loop, plan, self._ledger, self._say)
        self._fate = Fate(self._loop, plan, self._deployment)
        self._line = Line(self._deployment.new_process("client"), plan.lossy)
        services = self._deployment.services
        self._client = Client(self._line, services["api"], services["query"], plan.endpoints)
        self._outcomes = Outcomes(self._deployment.log)
        self._over = False

    def _say(self, who: str, what: str) -> None:
        if self._teller is not None:
            self._teller(self._loop.time(), who, what)

    def _unhandled(self, _loop: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not self._over and not isinstance(error, asyncio.CancelledError | ConnectionError):
            self._deployment.failures.append(f"unhandled: {context.get('message')}: {error!r}")

    def run(self) -> list[str]:
        """Everything from beginning to end; what was violated."""
        try:
            with clock.running_on(self._deployment.clock):
                self._loop.run_until_complete(self._live())
                return [*self._deployment.failures, *violations(self._evidence())]
        except Stalled as error:
            return [str(error)]
        finally:
            self._end()

    def fingerprint(self) -> str:
        """What the log holds in the end, as a hash: equal for equal runs."""
        return hashlib.sha256(repr(self._deployment.log._partitions).encode()).hexdigest()

    async def _live(self) -> None:
        await self._furnish()
        for name in SERVICES:
            self._deployment.begin(name)
        for agents in self._deployment.agents:
            self._deployment.begin_agent(agents)
        self._engage_client()
        self._fate.begin()
        await asyncio.sleep(TROUBLE)
        self._say("world", "the trouble is over")
        self._line.trust()
        self._fate.relent()
        await self._come_to_rest()

    async def _furnish(self) -> None:
        """A function, and every endpoint, registered before it all begins."""
        common: dict[str, Any] = {"event_id": "", "occurred_at": 0, "actor": "user:ada", "owner": "ada",
                                  "description": None, "metadata": None, "public": True}  # fmt: skip
        log = self._deployment.log
        for topic in TOPICS:
            await log.create_topic(topic, self._plan.partitions if topic in BY_ENDPOINT else 1)
        function = FunctionRegistered(
            **common, function_id=FUNCTION, name="f", group=None, python_version="3", dill_version="0",
            payload_format="function/1", payload_sha256=hashlib.sha256(b"code").hexdigest(), payload_size=4,
            payload=b"code",
        )  # fmt: skip
        endpoints = [
            EndpointRegistered(
                **common, endpoint_id=each.endpoint_id, name=each.endpoint_id, partition=each.partition,
                credential_sha256=each.endpoint_id,
            )
            for each in self._plan.endpoints
        ]  # fmt: skip
        await log.append([NewRecord.of(event, 0) for event in (function, *endpoints)])

    def _engage_client(self) -> None:
        spawn = self._line.process.spawn
        batches: dict[str, dict[str, None]] = {}
        for request in self._plan.requests:
            spawn(self._client.submit(request))
            batches.setdefault(request.owner, {})[request.batch_id] = None
        for request, task, at in self._plan.cancels:
            spawn(self._client.cancel(request, task, at))
        for owner, wanted in batches.items():
            spawn(self._client.read(owner, list(wanted)))

    async def _come_to_rest(self) -> None:
        failures = self._deployment.failures
        end, quiet = self._loop.time() + _PATIENCE, 0.0
        while quiet < _SILENCE and not failures:
            if self._loop.time() > end:
                failures.append(f"pending for ever: {'; '.join(self._missing())}")
                return
            await asyncio.sleep(_LOOK)
            for agents in self._deployment.agents:
                self._deployment.begin_agent(agents)
            quiet = 0.0 if self._missing() else quiet + _LOOK
        self._say("world", "everything has come to rest")

    def _missing(self) -> list[str]:
        """What has not come to its end yet."""
        self._outcomes.read()
        found = [f"{self._client.open} requests have no answer"] if self._client.open else []
        if waiting := self._outcomes.waiting():
            found.append(f"no outcome of {waiting}")
        if behind := self._unprojected():
            found.append(f"the read models have not passed {behind}")
        got = {(owner, task["task_id"]) for owner, task in self._client.got}
        if absent := self._outcomes.first.keys() - got:
            found.append(f"the stream has not given {sorted(absent)}")
        return found

    def _unprojected(self) -> list[str]:
        """Partitions that the read models do not know to the end; heartbeats never end."""
        positions = self._deployment.store._positions
        return [
            str(where)
            for where, stored in self._deployment.log._partitions.items()
            if where.topic in ("tasks", "results") and positions.get(where, 0) < len(stored)
        ]

    def _evidence(self) -> Evidence:
        log, store = self._deployment.log, self._deployment.store
        return Evidence(log, store, self._ledger, self._client, self._outcomes)

    def _end(self) -> None:
        """Everything ends, unheard."""
        self._over = True
        for process in self._deployment.processes():
            process.alive = False
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        with suppress(Stalled):
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()
        gc.collect()


@contextmanager
def quietly() -> Iterator[None]:
    """Without what differs from run to run or takes time: logs, this machine's facts, stray collections."""
    logging.disable(logging.CRITICAL)
    collecting = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        with (
            mock.patch("funcledger_endpoint.heartbeat.usage", return_value=_USAGE),
            mock.patch("funcledger_endpoint.agent.describe", return_value=_MACHINE),
        ):
            yield
    finally:
        logging.disable(logging.NOTSET)
        gc.unfreeze()
        if collecting:
            gc.enable()


def run(seed: int, say: Say | None = None) -> list[str]:
    """Run this seed; what was violated, in words."""
    return World(scenario(seed), say).run()
