"""Rows 1, 2, 12 and 15 where the projector is a process of its own beside the server of ``funcledger up``."""

import os
import random
import signal
import time
from pathlib import Path

import httpx2
import psutil
from tests.support.commands import with_topics
from tests.support.deadlines import scaled
from tests.support.folding import caught_up, projecting
from tests.support.poison import poison
from tests.support.poll import until_sync
from tests.support.seeds import seeded
from tests.support.standalone import Standalone, lag, metric, projectors_of, standalone
from tests.support.stores import dump

from funcledger import Executor
from funcledger_compose.data_dir import DataDir
from funcledger_event_log.records import NewRecord
from funcledger_event_log.sqlite import SqliteLog
from funcledger_read_models.memory import MemoryStore
from funcledger_read_models.sqlite import SqliteStore


def running(server: Standalone) -> psutil.Process:
    """The server's projector, once there is one."""
    [found] = until_sync(lambda: projectors_of(server.pid), 20)
    assert isinstance(found, psutil.Process)
    return found


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def ready(server: Standalone) -> httpx2.Response:
    return httpx2.get(f"{server.url}/readyz", trust_env=False)


def planted(folder: Path, *lines: str) -> dict[str, str]:
    """An environment in which the projector's process, and no other, runs these lines before all else."""
    body = "".join(f"    {line}\n" for line in lines)
    (folder / "sitecustomize.py").write_text(
        f"import os, sys\nif any('funcledger_compose.projecting' in each for each in sys.orig_argv):\n{body}"
    )
    return {"PYTHONPATH": str(folder)}


def stops(folder: Path, more: dict[str, str]) -> str:
    """What a server says whose projector stops, so that it is not ready."""
    with standalone(folder / "data", "--workers", "1", more=more) as server:
        until_sync(lambda: ready(server).status_code == 503, 30)
        assert ready(server).json()["missing"] == ["projector"]
        until_sync(lambda: not projectors_of(server.pid), 10)
        return server.output.read_text()


def squared(x: int) -> int:
    return x * x


async def test_row01_row02_a_projectors_process_killed_under_load_leaves_no_gap_and_no_double(
    tmp_path: Path,
) -> None:
    """``kill -9`` at random moments; results come meanwhile, and the models end as the fold of the log."""
    dice = seeded()
    with standalone(tmp_path / "data", "--workers", "2") as server:
        kills = _killed_under_load(server, dice)
        print(f"{kills} kills")
        with server.client() as client:
            until_sync(lambda: lag(client) == 0, 60)
        server.stop()
    assert kills >= 3
    data = DataDir(tmp_path / "data")
    log, replay = await SqliteLog.open(data.log), MemoryStore()
    store = await SqliteStore.open(data.read_models)
    async with projecting(log, replay) as whole, projecting(log, store) as last:
        await caught_up(whole)
        await caught_up(last)
    assert await dump(store) == await dump(replay)
    await store.close()
    await log.close()


def _killed_under_load(server: Standalone, dice: random.Random) -> int:
    kills = 0
    with server.client() as client, Executor(endpoint_id="local", client=client) as executor:
        for round_ in range(4):
            futures = [executor.submit(squared, n) for n in range(2000)]
            end = time.monotonic() + dice.random() * 0.4
            until_sync(lambda end=end: time.monotonic() > end, 5)  # type: ignore[misc]
            running(server).kill()
            kills += 1
            assert [future.result(scaled(60)) for future in futures] == [n * n for n in range(2000)], round_
    return kills


def test_row15_with_its_projector_frozen_a_server_takes_tasks_and_gives_results(tmp_path: Path) -> None:
    """What needs the read models says so; and the projector goes on where it was."""
    with standalone(tmp_path / "data", "--workers", "2") as server, server.client() as client:
        running(server).send_signal(signal.SIGSTOP)
        with Executor(endpoint_id="local", client=client) as executor:
            futures = [executor.submit(squared, n) for n in range(100)]
            assert [future.result(scaled(30)) for future in futures] == [n * n for n in range(100)]
        until_sync(lambda: lag(client) > 0, 10)
        running(server).send_signal(signal.SIGCONT)
        assert client.get_task(futures[0].task_id)["status"] == "success"


def test_the_projectors_process_ends_with_its_server_however_that_ends(tmp_path: Path) -> None:
    with standalone(tmp_path / "data", "--no-endpoint") as server:
        killed = running(server)
        server.kill()
        until_sync(lambda: gone(killed), 10)
        server.start()
        stopped = running(server)
        server.stop()
        assert gone(stopped)


def test_an_interrupt_from_the_keyboard_reaches_the_server_alone(tmp_path: Path) -> None:
    """The whole group gets it, and the projector has to outlive the last requests."""
    with standalone(tmp_path / "data", "--no-endpoint") as server:
        projector = running(server)
        assert os.getpgid(projector.pid) != os.getpgid(server.pid)


async def test_row12_a_record_that_cannot_be_read_is_kept_by_way_of_the_server(tmp_path: Path) -> None:
    """The projector's process may not write the log: it asks."""
    data = DataDir(tmp_path / "data")
    data.open()
    log = await SqliteLog.open(data.log)
    await with_topics(log)
    bad = poison()
    await log.append([NewRecord(each.topic, 0, each.key, each.headers, each.value) for each in bad.values()])
    await log.close()
    with standalone(data.path, "--no-endpoint") as server, server.client() as client:
        until_sync(lambda: metric(client, "funcledger_dead_letters") == len(bad), 20)
        assert lag(client) == 0
        server.kill()
        server.start()
        until_sync(lambda: lag(client) == 0, 20)
        assert metric(client, "funcledger_dead_letters") == len(bad), "once, however often it is read"


def test_a_projector_that_keeps_ending_is_told_of_and_tried_again(tmp_path: Path) -> None:
    """Short of memory, say. The server is not ready, runs tasks all the same, and gets over it by itself."""
    trouble = tmp_path / "trouble"
    more = planted(tmp_path, f"if os.path.exists({str(trouble)!r}): os._exit(7)")
    with standalone(tmp_path / "data", "--workers", "1", more=more) as server, server.client() as client:
        trouble.touch()
        running(server).kill()
        until_sync(lambda: ready(server).status_code == 503, 30)
        assert ready(server).json()["missing"] == ["projector"]
        assert "ended with 7" in server.output.read_text()
        with Executor(endpoint_id="local", client=client) as executor:
            assert executor.submit(squared, 7).result(scaled(30)) == 49
        trouble.unlink()
        until_sync(lambda: ready(server).status_code == 200, 30)
        until_sync(lambda: lag(client) == 0, 20)


def test_a_log_that_the_projector_finds_damaged_makes_the_server_not_ready(tmp_path: Path) -> None:
    """Tries would fail for ever, and to go on would be to skip."""
    more = planted(
        tmp_path,
        "from funcledger_event_log.sqlite import view",
        "from funcledger_event_log.port import LogCorrupt",
        "def damaged(*_, **__): raise LogCorrupt('planted')",
        "view.Database = damaged",
    )
    assert "planted" in stops(tmp_path, more)


def test_a_signal_to_every_process_leaves_the_projector_to_its_server(tmp_path: Path) -> None:
    """A service manager sends SIGTERM to all of them; the server says when there is nothing more to fold."""
    with standalone(tmp_path / "data", "--no-endpoint") as server:
        projector = running(server)
        projector.terminate()
        projector.send_signal(signal.SIGINT)
        server.stop()
        assert gone(projector)
        assert "another is started" not in server.output.read_text()


def test_a_projector_that_has_stopped_for_good_makes_the_server_not_ready(tmp_path: Path) -> None:
    """A fold that fails is a fault of ours: to go on would be to skip, to start again to fail again."""
    more = planted(
        tmp_path,
        "from funcledger_projectors.folds import endpoint_health",
        "def broken(document, entry): raise ZeroDivisionError('planted')",
        "for kind in endpoint_health.FOLD.handlers: endpoint_health.FOLD.handlers[kind] = broken",
    )
    assert "planted" in stops(tmp_path, more)
