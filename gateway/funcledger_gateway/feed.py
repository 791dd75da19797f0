"""Streams to agents: frames that carry whatever has gathered, and signs of life between them."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import Any

from funcledger_event_log.direct import DirectEndpointLog
from funcledger_event_log.endpoint_wire import pack_feed
from funcledger_event_log.port import LogCorrupt, LogError
from funcledger_event_log.records import Record
from funcledger_event_log.stubs import AT_ONCE, stub
from funcledger_schemas import clock, tracing
from funcledger_schemas.frames import KEEP_ALIVE

_log = logging.getLogger(__name__)


def _say_damaged(damage: LogCorrupt) -> None:
    _log.error("a feed of tasks ends: %s", damage)


async def feed(
    batches: AsyncGenerator[list[Record]],
    ended: Coroutine[Any, Any, None],
    interval: float,
    on_damage: Callable[[LogCorrupt], None] = _say_damaged,
) -> AsyncGenerator[bytes]:
    """The batches as delimited frames without end, until ``ended`` returns or the log goes away.

    ``on_damage`` hears of what cannot be read: the agent must be told when it comes again.

    A sign of life comes at once and after each ``interval`` seconds of silence. While a frame is being
    sent nothing is read ahead, so a slow agent costs one batch of memory.
    """
    end = asyncio.ensure_future(ended)
    step = asyncio.ensure_future(anext(batches))
    try:
        yield KEEP_ALIVE
        while True:
            done, _ = await asyncio.wait({step, end}, timeout=interval, return_when=asyncio.FIRST_COMPLETED)
            if end in done:
                return
            if not done:
                yield KEEP_ALIVE
                continue
            batch = step.result()
            if (spans := tracing.spans) is not None:
                _trace(spans, batch)
            yield pack_feed(batch, delimited=True)
            step = asyncio.ensure_future(anext(batches))
    except LogCorrupt as error:
        on_damage(error)
    except LogError as error:
        # The agent opens the feed again, and is told then.
        _log.info("a feed of tasks ends: %s", error)
    finally:
        end.cancel()
        step.cancel()
        await asyncio.gather(end, step, return_exceptions=True)
        await batches.aclose()


def _trace(spans: tracing.Spans, batch: Sequence[Record]) -> None:
    """From a submission's being on the log to its being sent to the agent."""
    now = clock.current().time_ns()
    for record in batch:
        if record.type == "TaskSubmitted":
            task_id = record.header("ce_subject") or ""
            spans.hop("deliver", [task_id], record.timestamp * 1_000_000, now)


async def whole(view: DirectEndpointLog, offsets: Sequence[int]) -> AsyncGenerator[list[Record]]:
    """The endpoint's records at these offsets, a few at a time."""
    for at in range(0, len(offsets), AT_ONCE):
        yield await view.fetch_some(offsets[at : at + AT_ONCE])


async def finite(batches: AsyncGenerator[list[Record]], *, bare: bool) -> AsyncGenerator[bytes]:
    """The batches as delimited frames; ``bare`` leaves out payloads."""
    async with aclosing(batches):
        async for batch in batches:
            yield pack_feed([stub(record) for record in batch] if bare else batch, delimited=True)


async def begun(chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The same chunks, the first of them made already: what goes wrong with it can still be answered."""
    first = await anext(chunks, b"")

    async def all_of_it() -> AsyncGenerator[bytes]:
        async with aclosing(chunks):
            yield first
            async for chunk in chunks:
                yield chunk

    return all_of_it()
