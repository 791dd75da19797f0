"""Row 5: the server took a submission and its answer is lost; it runs once, and its future resolves."""

from pathlib import Path

from tests.support.deadlines import scaled
from tests.support.dropping import dropping
from tests.support.standalone import standalone

from funcledger import Client, Executor


def once(line: str, path: str) -> str:
    """Leaves a line each time it runs."""
    with Path(path).open("a") as file:
        file.write(line + "\n")
    return line


def test_row05_answers_lost_on_the_way_are_asked_for_again_and_everything_runs_once(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    with standalone(tmp_path / "data", "--workers", "2") as server:
        token = (server.folder / "token").read_text().strip()
        with dropping(server.url, b"POST /v1/tasks ", 3) as proxy, Client(proxy.url, token) as client:
            with Executor(endpoint_id="local", client=client) as executor:
                futures = [executor.submit(once, f"{n}", str(marks)) for n in range(20)]
                assert [future.result(scaled(60)) for future in futures] == [f"{n}" for n in range(20)]
            # Results may have come before the last answer was asked for again; then the next one is lost.
            lost = client.run(
                "alone", str(marks), endpoint_id="local", function_id=client.register_function(once)
            )
            assert client.get_result(lost, timeout=scaled(30)) == "alone"
            assert proxy.lost == [b"HTTP/1.1 202 Ac"] * 3
    assert sorted(marks.read_text().split()) == sorted([*(f"{n}" for n in range(20)), "alone"])


def test_row05_what_was_acknowledged_survives_the_kill_right_after_it(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    with standalone(tmp_path / "data", "--workers", "2") as server, server.client() as client:
        function = client.register_function(once)
        for n in range(3):
            task = client.run(f"{n}", str(marks), endpoint_id="local", function_id=function)
            server.kill()
            server.start()
            assert client.get_result(task, timeout=scaled(60)) == f"{n}"
            assert _outcomes(client, task) == ["TaskCompleted"]
    assert marks.read_text().split() == ["0", "1", "2"]


def _outcomes(client: Client, task_id: str) -> list[str]:
    # The client that saw the outcome: of any other, read models that are behind may still hide it.
    history = client.get_task_history(task_id)
    terminal = ("TaskCompleted", "TaskFailed", "TaskCancelled")
    return [entry["type"] for entry in history if entry["type"] in terminal]
