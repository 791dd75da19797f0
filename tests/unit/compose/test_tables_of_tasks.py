"""What ``funcledger task`` and ``function`` show: in 80 columns, why a task failed, and no value opened."""

from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

import funcledger
from funcledger_compose.cli import function, output, task
from funcledger_schemas.ids import new_id

FAILED: dict[str, Any] = {
    "task_id": new_id(), "status": "failed", "function_name": "a_function_with_quite_a_long_name",
    "submitted_at": 1_795_939_200_000, "run_time": 0.0125, "kind": "Exception", "error_type": "ValueError",
    "message": "channel 9 is dead\nand much more",
    "traceback": 'File "/lab.py", line 3\nValueError: channel 9',
    "peak_memory": 23_879_680, "payload_size": 4,
}  # fmt: skip
WAITS = {**FAILED, "task_id": new_id(), "status": "waiting-for-endpoint", "run_time": None}


FUNCTION: dict[str, Any] = {
    "function_id": new_id(), "name": "a_function_with_quite_a_long_name", "owner": "ada.lovelace@example.org",
    "description": None, "public": False, "payload_size": 459, "registered_at": 1_795_939_200_000,
}  # fmt: skip


class _Client:
    """A client that can be asked for no values."""

    functions = SimpleNamespace(all=lambda role, most: [FUNCTION] * most if role == "owner" else [])

    def get_function(self, _: str) -> dict[str, Any]:
        return {**FUNCTION, "source": "def f():\n    return 1\n"}

    results = SimpleNamespace(status=lambda _: dict(FAILED))

    def get_tasks(self, **_: object) -> list[dict[str, Any]]:
        return [FAILED, WAITS]


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "console", Console(width=80))
    monkeypatch.setattr(funcledger, "Client", _Client)


def test_a_list_fits_a_terminal_and_says_why_a_task_failed(capsys: pytest.CaptureFixture[str]) -> None:
    task.list_tasks()
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(FAILED["task_id"] in line for line in lines) == 2
    assert "ValueError: channel 9 is dead" in lines[-1]
    assert any("12.5 ms" in line for line in lines)


def test_one_task_is_shown_for_people_with_its_remote_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    task.show(FAILED["task_id"])
    said = capsys.readouterr().out
    assert "run_time: 12.5 ms" in said
    assert "peak_memory: 23.9 MB (23,879,680 bytes)" in said
    assert said.rstrip().endswith('File "/lab.py", line 3\nValueError: channel 9')


def test_functions_are_listed_within_a_terminal_and_shown_with_their_source(
    capsys: pytest.CaptureFixture[str],
) -> None:
    function.list_functions(mine=True, limit=3)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(FUNCTION["function_id"] in line for line in lines) == 3
    function.list_functions()
    assert capsys.readouterr().out == "No functions.\n"
    function.show(FUNCTION["function_id"])
    said = capsys.readouterr().out
    assert "payload_size: 459 B (459 bytes)" in said
    assert "description" not in said
    assert said.endswith("def f():\n    return 1\n")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, ""),
        (6.27e-6, "6.27 µs"),
        (0.0125, "12.5 ms"),
        (59.96, "60 s"),
        (125.4, "2 min 05 s"),
        (7322, "2 h 02 min"),
    ],
)
def test_a_duration_is_told_as_people_read_it(seconds: float | None, said: str) -> None:
    assert output.duration(seconds) == said


def test_an_endpoint_is_shown_with_moments_and_sizes() -> None:
    assert output.readable("last_seen", 1_795_939_200_000) == output.moment(1_795_939_200_000)
    assert output.readable("memory_total", 2 * 10**9) == "2 GB (2,000,000,000 bytes)"
    assert output.readable("workers", 4) == 4
