"""A scientist's number is right, or there is a clear error: ordinary programs against all real parts."""

import asyncio
import enum
import functools
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.support import laboratory_helpers as helpers
from tests.support.axes import Running
from tests.support.travelling import another_python, packages_for_another_python

from funcledger import Client, Executor, errors

LIMIT = 10


class Grade(enum.Enum):
    GOOD = 1
    BAD = 2


class Reading(NamedTuple):
    value: float
    unit: str = "mm"

    def metres(self) -> float:
        return self.value / 1000


class Settings:
    alpha = 0.1


def is_even(n: int) -> bool:
    return True if n == 0 else is_odd(n - 1)


def is_odd(n: int) -> bool:
    return False if n == 0 else is_even(n - 1)


def grade(x: int) -> Grade:
    return Grade.GOOD if x > 0 else Grade.BAD


def metres(reading: Reading) -> tuple[float, bool]:
    return reading.metres(), isinstance(reading, Reading)


def through_the_module(x: int) -> Any:
    return helpers.scaled(x), helpers.Unit.CM


def raises(text: str) -> None:
    raise helpers.BadRow(text)


def above_limit(x: int) -> int:
    return x + LIMIT


def scaled_by_alpha(x: float) -> float:
    return x * Settings.alpha


def count() -> int:
    global LIMIT
    LIMIT += 1
    return LIMIT


async def later(x: int) -> int:
    await asyncio.sleep(0.01)
    return x + 1


def returns_what_exits_when_opened() -> Any:
    class Exits:
        def __reduce__(self) -> Any:
            return exec, ("import sys; sys.exit(7)",)

    return Exits()


@pytest.fixture(scope="module")
def client(running: Running) -> Iterator[Client]:
    with running.client() as made:
        yield made


@pytest.fixture
def executor(client: Client) -> Iterator[Executor]:
    with Executor("lab", client) as made:
        yield made


def test_code_of_the_script_and_of_modules_beside_it_travels(executor: Executor) -> None:
    assert executor.submit(is_even, 10).result(30) is True
    assert executor.submit(grade, 1).result(30) is Grade.GOOD
    assert executor.submit(metres, Reading(500.0)).result(30) == (0.5, True)
    assert executor.submit(through_the_module, 2).result(30) == (20, helpers.Unit.CM)
    assert executor.submit(helpers.Point, 3).result(30) == helpers.Point(3)
    assert executor.submit(helpers.Point(3).norm).result(30) == 30
    with pytest.raises(helpers.BadRow, match="row 5"):
        executor.submit(raises, "row 5").result(30)


def test_an_async_function_runs_to_its_end(client: Client, executor: Executor) -> None:
    assert executor.submit(later, 1).result(30) == 2
    assert executor.submit(functools.partial(later, 4)).result(30) == 5
    task = client.run(2, endpoint_id="lab", function_id=client.register_function(later))
    assert client.get_result(task, timeout=30) == 3


@pytest.mark.law(13)
@pytest.mark.fault(32)
def test_what_is_changed_between_calls_is_what_runs(
    client: Client, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(client.get_functions())
    assert executor.submit(above_limit, 1).result(30) == 11
    registered = client.register_function(scaled_by_alpha)
    with monkeypatch.context() as changed:
        futures = []
        for limit in range(50):
            changed.setattr(f"{__name__}.LIMIT", limit)
            futures.append(executor.submit(above_limit, 1))
        assert [future.result(30) for future in futures] == [1 + limit for limit in range(50)]
        changed.setattr(Settings, "alpha", 0.5)
        assert executor.submit(scaled_by_alpha, 10).result(30) == 5.0
        by_id = client.run(10, endpoint_id="lab", function_id=registered)
        assert client.get_result(by_id, timeout=30) == 1.0  # as it was registered
    assert executor.submit(above_limit, 1).result(30) == 11
    assert len(client.get_functions()) == before + 3  # above_limit, scaled_by_alpha by id, and as submitted


@pytest.mark.law(13)
def test_what_a_call_changes_does_not_reach_the_next_one_in_its_worker(executor: Executor) -> None:
    assert {executor.submit(count).result(30) for _ in range(6)} == {LIMIT + 1}


CALIBRATING = """
import sys
from funcledger import Executor

def norm(x):
    if "cal" not in globals():
        globals()["cal"] = x
    return x - cal

def looked_up():
    import beside
    return getattr(beside, "CONST", 1), hasattr(beside, "NOT_THERE")

with Executor("lab") as executor:
    numbers = [executor.submit(norm, int(x)).result(30) for x in sys.argv[1:]]
    print(numbers, executor.submit(looked_up).result(30))
"""


@pytest.mark.law(13)
def test_a_program_never_meets_what_another_has_left_in_a_worker(running: Running, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(CALIBRATING)
    (tmp_path / "beside.py").write_text("CONST = 5")
    environment = {"FUNCLEDGER_URL": running.url, "FUNCLEDGER_TOKEN": running.token}
    for numbers in (["1", "2", "3"], ["100", "200"]):
        command = [sys.executable, str(tmp_path / "program.py"), *numbers]
        ran = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert ran.stdout == f"{[0] * len(numbers)} (5, False)\n", ran.stderr


def test_what_must_not_travel_is_refused_before_anything_is_sent(executor: Executor, tmp_path: Path) -> None:
    lock = threading.RLock()
    with (tmp_path / "results.csv").open("w") as out:
        out.write("42\n" * 100)
        out.flush()
        with pytest.raises(
            errors.SerializationError, match=r"variable 'out' from outside: it is an open file"
        ):
            executor.submit(lambda: out.name)
        with pytest.raises(errors.SerializationError, match=r"'lock' from outside: it is a lock"):
            executor.submit(lambda: lock)
    assert (tmp_path / "results.csv").stat().st_size == 300


@pytest.mark.law(15)
@pytest.mark.fault(35)
def test_a_result_that_exits_when_it_is_opened_fails_its_own_future_alone(
    client: Client, executor: Executor
) -> None:
    worse = executor.submit(returns_what_exits_when_opened)
    assert executor.submit(pow, 2, 3).result(30) == 8
    with pytest.raises(errors.DeserializationError, match="SystemExit: 7"):
        worse.result(30)
    with pytest.raises(errors.DeserializationError, match="SystemExit: 7"):
        client.get_result(worse.task_id, timeout=30)
    assert isinstance(client.get_task(worse.task_id)["exception"], errors.DeserializationError)
    assert executor.submit(pow, 2, 4).result(30) == 16


@pytest.mark.parametrize("serializer", ["cloudpickle", "dill"])
def test_who_writes_code_can_be_chosen(client: Client, serializer: str) -> None:
    with Executor("lab", client, serializer=serializer) as executor:
        future = executor.submit(lambda reading: (reading.metres(), above_limit(1)), Reading(500.0))
        assert future.result(30) == (0.5, 11)
        submitted = client.get_task_history(future.task_id)[0]["event"]
    assert f" {serializer}-" in submitted["payload_code"]
    with pytest.raises(errors.InvalidRequest, match="no serializer 'marshal'"):
        Executor("lab", client, serializer="marshal")


PROGRAM = """
import functools
from funcledger import Client, Executor, errors

FACTOR = 2

class Numbers:
    def __init__(self, values):
        self.values = values
    def big(self):
        return [value for value in self.values if value > 1]

def total(n, k=1):
    return sum(i * k * FACTOR for i in range(n) if i % 2)

def tied(n):
    return total(n)

def apply(f, x):
    return f(x)

with Executor("lab") as executor:
    assert executor.submit(total, 10).result(30) == 50
    assert executor.submit(pow, 2, 5).result(30) == 32
    for function, args in (
        (functools.partial(total, k=2), (10,)), (tied, (3,)), (apply, (total, 10)), (len, ([Numbers([1])],)),
    ):
        try:
            executor.submit(function, *args).result(30)
        except errors.VersionMismatch as refused:
            print(refused)
    print(executor.submit(pow, 2, 6).result(30))
"""


@pytest.mark.law(15)
@pytest.mark.fault(33)
def test_a_client_of_another_python_is_served_or_refused_with_both_versions(
    running: Running, tmp_path: Path
) -> None:
    version, python = another_python()
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    environment = {
        "FUNCLEDGER_URL": running.url,
        "FUNCLEDGER_TOKEN": running.token,
        "PYTHONPATH": str(packages_for_another_python(tmp_path / "lib", version)),
    }
    command = [python, str(tmp_path / "program.py")]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    *refused, last = ran.stdout.splitlines()
    assert len(refused) == 4
    assert last == "64"
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert all(f"Python {version} " in each and f"this is Python {here}" in each for each in refused)
