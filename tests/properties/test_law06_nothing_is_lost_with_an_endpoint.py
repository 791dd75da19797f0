"""Law 6: whatever stands in the log when an agent ends, the next one makes the right further attempts."""

import asyncio
from collections import defaultdict
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.endpoint import PARTITION, Endpoint
from tests.support.fake_engine import FakeEngine
from tests.support.poll import until

from funcledger_endpoint.agent import Agent
from funcledger_endpoint.settings import AgentSettings
from funcledger_event_log.records import NewRecord
from funcledger_schemas.events import (
    EndpointStarted,
    TaskAttemptFailed,
    TaskCancelled,
    TaskCompleted,
    TaskFailed,
    TaskStarted,
)
from funcledger_schemas.ids import new_id

TASKS = 4
ENDS = {"complete": TaskCompleted, "cancel": TaskCancelled}
#: What is said of a task that was not submitted so, though it has its id: of none of it anything is believed.
LIES: dict[str, dict[str, Any]] = {
    "batch": {"batch_id": new_id()}, "owner": {"owner": "eve"}, "submission": {"submission": 99},
    "endpoint": {"endpoint_id": new_id()},
}  # fmt: skip
#: What an agent may have appended of a task, and whether it was one already superseded (a zombie). A lie is
#: an outcome or a last attempt that is another's.
STEPS = st.lists(
    st.one_of(
        st.just(("agent", 0, False)),
        st.tuples(
            st.sampled_from(["begin", "begin", "fail", "complete", "cancel", *LIES]),
            st.integers(0, TASKS - 1),
            st.booleans(),
        ),
    ),
    max_size=14,
)


class History:
    """Writes steps as the events they stand for, and counts by itself what they mean."""

    def __init__(self, endpoint: Endpoint, tasks: list[str], names: bool) -> None:
        """``names`` says whether events name their submission: those of the first release do not."""
        self._endpoint, self._tasks, self._names = endpoint, tasks, names
        self._epochs: list[int] = []
        self.attempts = [0] * TASKS
        self.running = [False] * TASKS
        self.ended = [False] * TASKS

    async def write(self, step: tuple[str, int, bool]) -> None:
        what, number, zombie = step
        if what == "agent" or not self._epochs:
            await self._agent()
        if what == "agent":
            return
        epoch = self._epochs[-1]
        if what in LIES:
            event = self._event("begin" if zombie else "complete", number, epoch)
            await self._say(msgspec.structs.replace(event, attempt=3, **LIES[what]))
            return
        if zombie:
            if len(self._epochs) < 2:
                return
            epoch = self._epochs[-2]
        elif not self._note(what, number):
            return
        await self._say(self._event(what, number, epoch))

    async def _say(self, event: Any) -> None:
        """Whose partition and key it is put under is not what it says."""
        record = NewRecord.of(event, PARTITION)
        record.key = self._endpoint.endpoint_id.encode()
        await self._endpoint.log.append([record])

    async def _agent(self) -> None:
        common: dict[str, Any] = {
            "event_id": new_id(),
            "occurred_at": 0,
            "actor": f"endpoint:{self._endpoint.endpoint_id}",
        }
        event = EndpointStarted(
            **common, endpoint_id=self._endpoint.endpoint_id, instance_id=new_id(),
            supersedes=self._epochs[-1] if self._epochs else -1, host="", platform="", python_version="",
            agent_version="", engine="", workers=1, distributions_sha256="",
        )  # fmt: skip
        self._epochs += await self._endpoint.append(event)

    def _note(self, what: str, number: int) -> bool:
        """Count the step; whether an agent in its right mind can have made it."""
        if self.ended[number] or (what == "begin" and self.attempts[number] == 3):
            return False
        if what == "begin":
            self.attempts[number] += 1
        elif what == "fail" and not self.running[number]:
            return False
        self.running[number] = what == "begin"
        self.ended[number] = what in ENDS
        return True

    def _event(self, what: str, number: int, epoch: int) -> Any:
        common: dict[str, Any] = {
            "event_id": new_id(), "occurred_at": 0, "actor": f"endpoint:{self._endpoint.endpoint_id}",
            "endpoint_id": self._endpoint.endpoint_id, "owner": "ada", "task_id": self._tasks[number],
            "submission": number if self._names else None,
            "batch_id": self._endpoint.batch_id, "epoch": epoch, "attempt": max(1, self.attempts[number]),
        }  # fmt: skip
        if what == "begin":
            return TaskStarted(**common, worker="w")
        if what == "fail":
            return TaskAttemptFailed(**common, kind="WorkerDied", message="", will_retry=True)
        if what == "cancel":
            return TaskCancelled(**common, reason="")
        return TaskCompleted(
            **common, run_time=None, cpu_time=None, peak_memory=None, payload_format="pickle",
            payload_sha256="", payload_size=0, payload=b"",
        )  # fmt: skip


def nothing() -> None: ...


@settings(max_examples=60, deadline=None)
@given(STEPS, st.booleans())
def test_law_6_any_history_then_a_restart_leads_to_the_right_further_attempts(
    steps: list[tuple[str, int, bool]], names: bool
) -> None:
    asyncio.run(_check(steps, names))


async def _check(steps: list[tuple[str, int, bool]], names: bool) -> None:
    endpoint = await Endpoint.create()
    tasks = [await endpoint.submit(nothing) for _ in range(TASKS)]
    history = History(endpoint, tasks, names)
    for step in steps:
        await history.write(step)
    before = len(await endpoint.results())

    engine = FakeEngine()
    agent = Agent(endpoint.view(), engine, AgentSettings())
    run = asyncio.create_task(agent.run())
    due = [task_id for number, task_id in enumerate(tasks) if not history.ended[number]]
    await until(lambda: _ended(endpoint, before, due))
    agent.stop()
    await run

    told = defaultdict(list)
    for event in (await endpoint.results())[before:]:
        told[getattr(event, "task_id", None)].append((type(event), getattr(event, "attempt", None)))
    for number, task_id in enumerate(tasks):
        assert told[task_id] == _expected(history, number)


async def _ended(endpoint: Endpoint, before: int, due: list[str]) -> bool:
    ends = (TaskCompleted, TaskFailed)
    events = (await endpoint.results())[before:]
    return set(due) <= {event.task_id for event in events if isinstance(event, ends)}


def _expected(history: History, number: int) -> list[tuple[type, int]]:
    """What a further agent owes the task, by the words of the law."""
    attempts = history.attempts[number]
    if history.ended[number]:
        return []
    if attempts == 3:
        return [(TaskFailed, 3)]
    lost = [(TaskAttemptFailed, attempts)] if history.running[number] else []
    return [*lost, (TaskStarted, attempts + 1), (TaskCompleted, attempts + 1)]
