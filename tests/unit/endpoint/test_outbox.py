"""The outbox: in order, one append at a time, the same events again until the log has them."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from tests.support.deadlines import scaled
from tests.support.poll import until

from funcledger_endpoint.outbox import Outbox
from funcledger_event_log.endpoint_port import Fenced
from funcledger_event_log.port import LogUnavailable, OutcomeUnknown
from funcledger_schemas.events import Event


class Log:
    """Takes appends as it is told: each waits for ``gate``, and fails first with what ``fails`` holds."""

    def __init__(self, *fails: Exception) -> None:
        self.appends: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._fails = list(fails)

    async def append(self, events: Sequence[Event]) -> list[int]:
        self.appends.append([event.event_id for event in events])
        await self.gate.wait()
        if self._fails:
            raise self._fails.pop(0)
        return list(range(len(events)))


def event(name: str) -> Event:
    return Event(event_id=name, occurred_at=0, actor="")


async def run(outbox: Outbox, durable: list[str]) -> None:
    running = asyncio.create_task(
        outbox.run(lambda events, _: durable.extend(event.event_id for event in events))
    )
    drained = asyncio.create_task(outbox.drained())
    await asyncio.wait([running, drained], timeout=scaled(5), return_when=asyncio.FIRST_COMPLETED)
    running.cancel()
    drained.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_what_gathers_during_an_append_is_the_next_one() -> None:
    log: Any = Log()
    log.gate.clear()
    outbox = Outbox(log)
    durable: list[str] = []
    outbox.add(event("a"))
    running = asyncio.create_task(run(outbox, durable))
    await until(lambda: log.appends)
    for name in "bcd":
        outbox.add(event(name))
    for _ in range(5):
        await asyncio.sleep(0)
    assert log.appends == [["a"]]
    log.gate.set()
    await running
    assert log.appends == [["a"], ["b", "c", "d"]]
    assert durable == ["a", "b", "c", "d"]


@pytest.mark.parametrize("error", [LogUnavailable("down"), OutcomeUnknown("perhaps")])
async def test_the_same_events_are_sent_again_until_the_log_has_them(error: Exception) -> None:
    log: Any = Log(error, error)
    outbox = Outbox(log)
    durable: list[str] = []
    outbox.add(event("a"))
    outbox.add(event("b"))
    await run(outbox, durable)
    assert log.appends == [["a", "b"]] * 3
    assert durable == ["a", "b"]


async def test_law_7_being_fenced_ends_it() -> None:
    outbox = Outbox(Log(Fenced("newer")))  # type: ignore[arg-type]
    outbox.add(event("a"))
    with pytest.raises(Fenced):
        await run(outbox, [])
