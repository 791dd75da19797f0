"""Row 23: of two agents of one endpoint the older one is never believed, and ends with a code of its own."""

import os
import signal
from pathlib import Path

from tests.support.deadlines import scaled
from tests.support.lab import Lab
from tests.support.poll import until_sync
from tests.support.standalone import standalone

from funcledger_endpoint.agent import FENCED_EXIT_CODE


def whose_worker(folder: str) -> int:
    """Says which agent's worker runs it, and returns that once it is told to."""
    import os
    import pathlib
    import time

    with (pathlib.Path(folder) / "began").open("a") as file:
        file.write(f"{os.getppid()}\n")
    while not (pathlib.Path(folder) / "go").exists():
        time.sleep(0.01)
    with (pathlib.Path(folder) / "ended").open("a") as file:
        file.write(f"{os.getppid()}\n")
    return os.getppid()


def test_row23_an_agent_that_was_frozen_while_another_took_over_ends_and_its_outcome_is_refused(
    tmp_path: Path,
) -> None:
    """SIGSTOP the first, start the second, let the first one's worker finish its task, then SIGCONT."""
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    with standalone(tmp_path / "data", "--no-endpoint") as server, server.client() as client:
        lab = Lab(server, "lab")
        function = client.register_function(whose_worker)
        with lab.agent(folders[0]) as first:
            task = client.run(str(tmp_path), endpoint_id="lab", function_id=function)
            until_sync(lambda: client.get_task(task)["status"] == "running", 20)
            os.kill(first.pid, signal.SIGSTOP)
            (tmp_path / "go").touch()
            until_sync((tmp_path / "ended").exists, 10)
            with lab.agent(folders[1]) as second:
                assert client.get_result(task, timeout=scaled(30)) == second.pid
                os.kill(first.pid, signal.SIGCONT)
                assert first.wait(scaled(30)) == FENCED_EXIT_CODE == 75
                assert client.get_result(task) == second.pid
                history = client.get_task_history(task)
                assert second.poll() is None
    assert (tmp_path / "ended").read_text().split() == [str(first.pid), str(second.pid)]
    said = [(entry["type"], entry["event"].get("attempt"), entry["void"]) for entry in history]
    assert said == [
        ("TaskSubmitted", None, False),
        ("TaskStarted", 1, False),
        ("TaskAttemptFailed", 1, False),
        ("TaskStarted", 2, False),
        ("TaskCompleted", 2, False),
    ]
    assert "a newer agent has taken this endpoint over" in (folders[0] / "agent.out").read_text()
