"""FAULTS 37: a task that ends or stops its agent is counted and lost; its neighbours are neither."""

from pathlib import Path

import pytest
from tests.support.deadlines import scaled
from tests.support.standalone import standalone

from funcledger import errors

pytestmark = [pytest.mark.fault(37), pytest.mark.attack(36), pytest.mark.law(6)]


def hurt(how: str, side: str) -> str:
    """Say that it was called, then end the agent, or harm what it shares with it, or stop it."""
    import os
    import signal
    import time

    with open(side, "a") as file:
        file.write("called\n")
    if how == "truncate":
        for name in os.listdir("/proc/self/fd"):
            try:
                if "funcledger-cell" in os.readlink(f"/proc/self/fd/{name}"):
                    os.ftruncate(int(name), 0)
            except (FileNotFoundError, PermissionError):
                pass
        os.kill(os.getpid(), signal.SIGKILL)
    agent = os.getppid()
    with open(f"/proc/{agent}/cmdline", "rb") as command:
        assert b"endpoint" in command.read(), "this worker's parent is not its agent any more"
    os.kill(agent, signal.SIGSTOP if how == "freeze" else signal.SIGKILL)
    time.sleep(3600)
    return "unharmed"


def square(number: int) -> int:
    import time

    time.sleep(0.1)
    return number * number


#: How the task harms its agent: its attempts, how often it may be called, and what is said in the end.
HARMS: dict[str, tuple[int, int, type[Exception], str]] = {
    "kill": (3, 3, errors.TaskLost, "its agent died in each of 3 attempts"),
    "freeze": (1, 1, errors.TaskLost, "its agent died during attempt 1 of 1"),
    "truncate": (2, 2, errors.WorkerDied, "attempt 2 of 2"),
}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("how", HARMS)
def test_a_task_that_harms_its_agent_is_lost_after_its_attempts_and_its_neighbours_finish(
    tmp_path: Path, how: str
) -> None:
    """Killed at once, the agent has not told of the first call, which counts all the same."""
    attempts, calls, error, words = HARMS[how]
    side = tmp_path / "side"
    with (
        standalone(tmp_path / "data", "--workers", "2", program="tests.support.impatient_server") as server,
        server.client() as client,
    ):
        harm, work = client.register_function(hurt), client.register_function(square)
        neighbours = [client.run(n, endpoint_id="local", function_id=work) for n in range(4)]
        batch = client.create_batch(max_attempts=attempts)
        batch.add(how, str(side), endpoint_id="local", function_id=harm)
        (task,) = client.batch_run(batch)
        neighbours += [client.run(n, endpoint_id="local", function_id=work) for n in range(4, 8)]
        with pytest.raises(error, match=words):
            client.get_result(task, timeout=scaled(60))
        found = [client.get_result(each, timeout=scaled(30)) for each in neighbours]
        history = client.get_task_history(task)
    assert found == [n * n for n in range(8)]
    assert len(side.read_text().splitlines()) <= calls
    told = [each["event"]["attempt"] for each in history if each["type"] == "TaskStarted"]
    assert told == list(range(1, len(told) + 1))
    assert len(told) in ((attempts - 1, attempts) if how == "kill" else (attempts,))
