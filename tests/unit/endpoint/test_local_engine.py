"""The engine of local workers by itself: what it is offered, takes back, and owes its workers afterwards."""

import asyncio
from collections.abc import Sequence

from tests.support.endpoint import Endpoint
from tests.support.poll import until

from funcledger_endpoint.engine import Loss
from funcledger_endpoint.local.engine import LocalEngine
from funcledger_endpoint.report import Report
from funcledger_endpoint.task import Task
from funcledger_payloads import dump_function, load


def square(number: int) -> int:
    return number * number


class Heard:
    """A ``Listener`` that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.reports: list[Report] = []

    def begun(self, task: Task, worker: str) -> None:
        self.told.append("begun")

    def finished(self, task: Task, report: Report) -> None:
        self.reports.append(report)

    def lost(self, task: Task, loss: Loss) -> None:
        self.told.append("lost")

    def returned(self, tasks: Sequence[Task]) -> None:
        self.told += ["returned"] * len(tasks)

    def room(self) -> None:
        pass


async def test_a_careful_task_taken_back_leaves_its_function_with_the_worker() -> None:
    """It was the first to name the function there, and later calls name it by number."""
    endpoint, heard, engine = await Endpoint.create(), Heard(), LocalEngine(1, patience=0.5)
    body = dump_function(square).bytes
    careful, next_one = [
        Task.of(n, 0, await endpoint.submission(square, 3 + n, max_attempts=1 + n)) for n in range(2)
    ]
    engine.start(heard)
    try:
        await until(lambda: engine.offer(careful, body, careful=True))
        engine.flush()
        await asyncio.sleep(0)
        engine.cancel(careful)
        assert heard.told == ["begun", "returned"]
        assert engine.offer(next_one, body)
        engine.flush()
        await until(lambda: heard.reports)
    finally:
        await engine.stop()
    [report] = heard.reports
    assert (report.kind, load(report.payload_format, report.payload)) == ("", 16)
