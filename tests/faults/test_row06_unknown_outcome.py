"""FAULTS 5 and 6: what the log could not do, or could not say, is told so that sending again is safe."""

import asyncio

import pytest
from tests.support.commands import (
    Moody,
    command_side,
    group,
    post_tasks,
    slug_of,
    submitted,
    task_frame,
    with_topics,
)

from funcledger_event_log.port import LogError, LogFull, LogUnavailable, OutcomeUnknown, RecordTooLarge


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (LogFull("x"), 507, "log-full"),
        (LogUnavailable("x"), 503, "log-unavailable"),
        (OutcomeUnknown("x"), 503, "outcome-unknown"),
        (RecordTooLarge("x"), 413, "payload-too-large"),
    ],
)
async def test_what_the_log_says_is_told_and_the_same_request_may_be_sent_again(
    error: LogError, status: int, slug: str
) -> None:
    log = Moody()
    async with command_side(await with_topics(log)) as side:
        body = task_frame([group(await side.endpoint(), await side.register(), [b"x"])], [b"x"])
        log.mood = error
        twins = await asyncio.gather(post_tasks(side, body), post_tasks(side, body))
        assert {(each.status_code, slug_of(each)) for each in twins} == {(status, slug)}
        assert all(("Retry-After" in each.headers) == (status == 503) for each in twins)
        assert (await post_tasks(side, body)).status_code == 202
        assert len(await side.records("tasks")) == 1


async def test_after_a_lost_acknowledgement_the_resent_task_has_the_same_digest() -> None:
    """What folds and agents need to see in it the same submission."""
    log = Moody()
    async with command_side(await with_topics(log)) as side:
        body = task_frame([group(await side.endpoint(), await side.register(), [b"x"])], [b"x"])
        log.mood, log.writes = OutcomeUnknown("x"), True
        assert (await post_tasks(side, body)).status_code == 503
        assert (await post_tasks(side, body)).status_code == 202
        first, second = await submitted(side)
    assert (first.task_id, first.request_digest) == (second.task_id, second.request_digest)
