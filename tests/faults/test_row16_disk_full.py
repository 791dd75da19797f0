"""Row 16: a full disk refuses appends whole, harms nothing that is there, and is recovered from."""

import resource
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil
import pytest
from tests.support.commands import command_side, group, post_tasks, slug_of, task_frame, with_topics
from tests.support.deadlines import scaled
from tests.support.logs import at, collect, new, values
from tests.support.poll import until_sync
from tests.support.standalone import standalone

from funcledger import Client, ServiceUnavailable
from funcledger_event_log.port import LogFull
from funcledger_event_log.sqlite import SqliteLog
from funcledger_event_log.sqlite.segment import LARGE


async def _fill(log: SqliteLog, size: int) -> int:
    """Append pairs of records until the log is full; how many were taken."""
    for taken in range(0, 10_000, 2):
        try:
            await log.append([new(b"%d" % taken + bytes(size)), new(b"%d" % (taken + 1), 1)])
        except LogFull:
            return taken
    raise AssertionError("the disk was never full")


async def _check_whole(log: SqliteLog, taken: int, directory: Path) -> None:
    """All that was taken is there, and nothing of what was refused takes any space."""
    assert await log.ends("tasks") == {0: taken // 2, 1: taken // 2}
    records = await collect(log, {at(0): 0, at(1): 0}, taken)
    assert sorted(int(value.rstrip(b"\0")) for value in values(records)) == list(range(taken))
    large = sum(len(value) for value in values(records) if len(value) > LARGE)
    assert (directory / "log.values").stat().st_size == large
    with sqlite3.connect(directory / "log.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


async def _refuse_and_recover(
    directory: Path, size: int, fill: Callable[[SqliteLog], AbstractContextManager[None]]
) -> None:
    log = await SqliteLog.open(directory)
    await log.create_topic("tasks", 2)
    with fill(log):
        taken = await _fill(log, size)
        assert not await log.ready()
        await _check_whole(log, taken, directory)
    assert (await log.append([new(b"space again")]))[0].offset == taken // 2
    assert await log.ready()
    await log.close()
    log = await SqliteLog.open(directory)
    assert await log.ends("tasks") == {0: taken // 2 + 1, 1: taken // 2}
    await log.close()


async def test_row16_the_database_cannot_grow(tmp_path: Path) -> None:
    @contextmanager
    def limited(log: SqliteLog) -> Iterator[None]:
        log._storage._connection.execute("PRAGMA max_page_count = 100")
        yield
        log._storage._connection.execute("PRAGMA max_page_count = 1073741823")

    await _refuse_and_recover(tmp_path, 1000, limited)


@pytest.mark.parametrize("size", [1000, 300_000], ids=["write-ahead log", "segment"])
async def test_row16_no_file_can_grow(tmp_path: Path, size: int) -> None:
    """The system refuses to write, in the middle of a value or of a page."""

    @contextmanager
    def limited(_log: SqliteLog) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_001, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    await _refuse_and_recover(tmp_path, size, limited)


async def test_row16_a_submission_the_database_has_no_page_for_is_a_507_and_may_be_sent_again(
    tmp_path: Path,
) -> None:
    """At the API, over the embedded log."""
    log = await SqliteLog.open(tmp_path / "log")
    await with_topics(log)
    async with command_side(log) as side:
        endpoint, function = await side.endpoint(), await side.register()
        size = log._storage._connection.execute("PRAGMA page_count").fetchone()[0]
        log._storage._connection.execute(f"PRAGMA max_page_count = {size + 4}")
        bodies = [task_frame([group(endpoint, function, [bytes(30_000)])], [bytes(30_000)]) for _ in range(4)]
        answers = [await post_tasks(side, body) for body in bodies]
        refused = next(n for n, answer in enumerate(answers) if answer.status_code == 507)
        assert slug_of(answers[refused]) == "log-full"
        assert "Its operator must make space" in answers[refused].json()["detail"]
        assert len(await side.records("tasks")) == refused
        log._storage._connection.execute("PRAGMA max_page_count = 1073741823")
        assert (await post_tasks(side, bodies[refused])).status_code == 202
        assert len(await side.records("tasks")) == refused + 1
    await log.close()


def _until_full(submit: Callable[[], str]) -> Iterator[str]:
    """Submit until that is refused."""
    for _ in range(100):
        try:
            yield submit()
        except ServiceUnavailable as error:
            assert "disk is full" in str(error)  # noqa: PT017  # what was taken before counts as well
            return
    raise AssertionError("the disk was never full")


@pytest.mark.skipif(sys.platform != "linux", reason="only there can another process's limits be set")
def test_row16_a_server_whose_files_cannot_grow_refuses_keeps_what_it_has_and_recovers(
    tmp_path: Path,
) -> None:
    """A real server, whose limit on the size of files (RLIMIT_FSIZE) is set while it runs, and taken away."""
    with standalone(tmp_path / "data", "--workers", "1") as server, server.client() as client:
        function = client.register_function(len)
        before = client.run(bytes(100_000), endpoint_id="local", function_id=function)
        assert client.get_result(before, timeout=scaled(20)) == 100_000
        process = psutil.Process(server.pid)
        unlimited = process.rlimit(psutil.RLIMIT_FSIZE)
        large = max(file.stat().st_size for file in server.folder.rglob("*") if file.is_file())
        process.rlimit(psutil.RLIMIT_FSIZE, (large + 1_000_001, unlimited[1]))
        with Client(server.url, (server.folder / "token").read_text().strip(), patience=0.1) as hasty:
            taken = list(
                _until_full(lambda: hasty.run(bytes(300_000), endpoint_id="local", function_id=function))
            )
        assert 0 < len(taken) < 10
        until_sync(lambda: client.get_task(before)["status"] == "success", 10)
        process.rlimit(psutil.RLIMIT_FSIZE, unlimited)
        after = client.run(bytes(300_000), endpoint_id="local", function_id=function)
        values = client.get_batch_result([before, *taken, after], timeout=scaled(60))
        assert [info["result"] for info in values.values()] == [100_000, *[300_000] * len(taken), 300_000]
        assert {task["task_id"] for task in client.get_tasks()} == {before, *taken, after}
