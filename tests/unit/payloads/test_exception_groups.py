"""A group of exceptions travels member by member: one that cannot be itself is text, and spoils no other."""

import importlib
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support.deadlines import scaled

from funcledger_payloads import RemoteTraceback, TaskExecutionFailed, dump_exception, load_exception
from funcledger_payloads.exceptions import TRACEBACK_LIMIT


class NeedsTwo(Exception):
    """Pickles, and then cannot be unpickled."""

    def __init__(self, code: int, where: str) -> None:
        super().__init__(f"{code} at {where}")
        self.code = code


class HoldsAGenerator(Exception):
    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.generator = (number for number in range(3))


class Named(ExceptionGroup[Exception]):
    """A group with a constructor and a state of its own."""

    name: str

    def __new__(cls, name: str, errors: Sequence[Exception]) -> "Named":
        self = super().__new__(cls, f"{name} failed", errors)
        self.name = name
        return self

    def __init__(self, name: str, errors: Sequence[Exception]) -> None:
        super().__init__(name, errors)


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def arrived(error: Exception) -> Any:
    return load_exception(dump_exception(raised(error)))


def test_each_member_arrives_as_itself_or_as_its_text() -> None:
    group = ExceptionGroup(
        "three of them", [raised(NeedsTwo(5, "home")), raised(ValueError("v")), raised(HoldsAGenerator("g"))]
    )
    found = arrived(group)
    assert type(found) is ExceptionGroup
    assert found.message == "three of them"
    members: Any = found.exceptions
    two, value, text = members
    assert (type(two), two.args, two.code) == (NeedsTwo, ("5 at home",), 5)
    assert (type(value), value.args) == (ValueError, ("v",))
    assert type(text) is TaskExecutionFailed
    assert str(text).endswith("HoldsAGenerator: g")
    assert str(text.error_type).endswith("HoldsAGenerator")
    for member in found.exceptions:
        assert isinstance(member.__cause__, RemoteTraceback)
        assert "raise error" in str(member.__cause__)
    assert "raise error" in str(text.remote_traceback)
    assert "HoldsAGenerator: g" in str(found.__cause__)


def test_the_language_finds_members_in_groups_within_groups() -> None:
    inner = ExceptionGroup("inner", [NeedsTwo(1, "a"), KeyError("k")])
    caught: list[Exception] = []
    try:
        raise arrived(ExceptionGroup("outer", [OSError(2, "gone"), inner]))
    except* NeedsTwo as found:
        caught += found.exceptions
    except* (KeyError, OSError):
        pass
    (nested,) = caught
    assert isinstance(nested, ExceptionGroup)
    assert [type(each) for each in nested.exceptions] == [NeedsTwo]


def test_a_group_of_a_users_class_arrives_with_its_state_and_notes() -> None:
    group = Named("fitting", [NeedsTwo(1, "x")])
    group.add_note("a note")
    found = arrived(group)
    assert type(found) is Named
    assert (found.name, found.message, found.__notes__) == ("fitting", "fitting failed", ["a note"])
    assert type(found.exceptions[0]) is NeedsTwo


def test_a_group_whose_class_cannot_be_had_arrives_as_a_plain_one_and_says_so() -> None:
    class Local(ExceptionGroup[Exception]):
        generator = (number for number in range(3))

    Local.__module__ = "__main__"
    found = arrived(Local("odd", [ValueError("v")]))
    assert type(found) is ExceptionGroup
    assert type(found.exceptions[0]) is ValueError
    assert any("Local, which cannot be had here" in note for note in found.__notes__)


def test_a_member_whose_module_is_not_installed_here_arrives_as_its_text(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "labtools-1.0.dist-info").mkdir()
    (tmp_path / "labtools.py").write_text("class Broken(Exception):\n    pass\n")
    with monkeypatch.context() as there:
        there.syspath_prepend(tmp_path)
        error = importlib.import_module("labtools").Broken("at home")
        sent = dump_exception(raised(ExceptionGroup("mixed", [error, ValueError("v")])))
    monkeypatch.delitem(sys.modules, "labtools")
    found: Any = load_exception(sent)
    lost, kept = found.exceptions
    assert type(lost) is TaskExecutionFailed
    assert "labtools.Broken: at home" in str(lost)
    assert "the module 'labtools' is not installed here" in str(lost)
    assert type(kept) is ValueError


def test_classes_of_the_users_script_travel_in_groups(tmp_path: Any) -> None:
    """Both classes stand in ``__main__`` there, and are not known here."""
    import subprocess
    import sys

    program = tmp_path / "script.py"
    program.write_text(
        "import sys, pickle\n"
        "class Two(Exception):\n"
        "    def __init__(self, a, b):\n"
        "        super().__init__(f'{a} and {b}')\n"
        "from funcledger_payloads import dump_exception\n"
        "sent = dump_exception(ExceptionGroup('g', [Two(1, 2), ValueError('v')]))\n"
        "sys.stdout.buffer.write(pickle.dumps(sent))\n"
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, check=True, timeout=scaled(60))
    found: Any = load_exception(pickle.loads(done.stdout))
    assert type(found) is ExceptionGroup
    assert [type(each).__name__ for each in found.exceptions] == ["Two", "ValueError"]
    assert found.exceptions[0].args == ("1 and 2",)


def test_many_members_share_the_room_that_one_traceback_has() -> None:
    sent = dump_exception(ExceptionGroup("many", [raised(ValueError("é" * 5000)) for _ in range(100)]))
    assert len(sent.traceback.encode()) <= TRACEBACK_LIMIT
    assert len(sent.payload) < 100 * (2 * 5000 + 2 * 4096 + 500) + TRACEBACK_LIMIT
    assert len(load_exception(sent).exceptions) == 100  # type: ignore[attr-defined]


def test_groups_without_end_arrive_as_text() -> None:
    error: Exception = ValueError("deep")
    for _ in range(2000):
        error = ExceptionGroup("deeper", [error])
    found = load_exception(dump_exception(error))
    assert isinstance(found, TaskExecutionFailed | ExceptionGroup)
