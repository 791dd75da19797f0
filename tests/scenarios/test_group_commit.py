"""Group commit as a client meets it: many requests, few fsyncs, every acknowledgement durable."""

import asyncio
from pathlib import Path

from tests.support.commands import command_side, group, post_tasks, task_frame, with_topics

from funcledger_event_log.sqlite import SqliteLog


async def test_a_thousand_concurrent_single_submissions_cost_at_most_fifty_fsyncs(tmp_path: Path) -> None:
    """Each its own request through the command API, all on disk when the last is answered."""
    log = await SqliteLog.open(tmp_path / "log")
    await with_topics(log)
    async with command_side(log) as side:
        function_id = await side.register()
        endpoint_id = await side.endpoint()
        before = log.fsyncs
        bodies = [task_frame([group(endpoint_id, function_id, [b"x"])], [b"x"]) for _ in range(1000)]
        answers = await asyncio.gather(*(post_tasks(side, body) for body in bodies))
        spent = log.fsyncs - before
    await log.close()
    assert {answer.status_code for answer in answers} == {202}
    assert 1 <= spent <= 50
