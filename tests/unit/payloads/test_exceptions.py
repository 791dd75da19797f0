"""Exceptions travel as what they are, or as their text."""

import pickle

import pytest

from funcledger_payloads import (
    DeserializationError,
    RemoteTraceback,
    TaskExecutionFailed,
    dump_exception,
    load_exception,
)
from funcledger_payloads.exceptions import TRACEBACK_LIMIT
from funcledger_schemas import limits


class NeedsTwo(Exception):
    """Pickles, and then cannot be unpickled: its __init__ takes other arguments than it passes on."""

    def __init__(self, code: int, where: str) -> None:
        super().__init__(f"{code} at {where}")
        self.code = code


class HoldsALock(Exception):
    def __init__(self) -> None:
        super().__init__("holds what cannot travel")
        self.generator = (number for number in range(3))


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


@pytest.mark.parametrize(
    "error", [ValueError("bad", 1), KeyError("k"), NeedsTwo(5, "home"), OSError(2, "gone")]
)
def test_the_original_type_arrives_with_the_remote_traceback_as_its_cause(error: Exception) -> None:
    arrived = load_exception(dump_exception(raised(error)))
    assert type(arrived) is type(error)
    assert arrived.args == error.args
    assert vars(arrived) == vars(error)
    assert isinstance(arrived.__cause__, RemoteTraceback)
    assert "raise error" in str(arrived.__cause__)


def test_one_that_cannot_travel_arrives_as_its_text() -> None:
    sent = dump_exception(raised(HoldsALock()))
    assert (sent.format, sent.payload) == (None, b"")
    arrived = load_exception(sent)
    assert isinstance(arrived, TaskExecutionFailed)
    assert "HoldsALock: holds what cannot travel" in str(arrived)
    assert arrived.error_type is not None
    assert arrived.error_type.endswith("HoldsALock")


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_what_is_not_an_exception_is_named_and_never_raised_as_itself(error: BaseException) -> None:
    sent = dump_exception(raised(error))
    assert (sent.error_type, sent.format) == (type(error).__name__, None)
    arrived = load_exception(sent)
    assert isinstance(arrived, TaskExecutionFailed)
    assert type(error).__name__ in str(arrived)


def test_a_payload_that_holds_no_exception_is_not_raised() -> None:
    from funcledger_payloads import ExceptionPayload

    for value in (SystemExit(1), "text", KeyboardInterrupt()):
        arrived = load_exception(ExceptionPayload("X", "m", "", "pickle", pickle.dumps(value)))
        assert isinstance(arrived, TaskExecutionFailed)
    broken = load_exception(ExceptionPayload("X", "m", "", "pickle", b"broken"))
    assert isinstance(broken, TaskExecutionFailed)
    assert "cannot be read here" in str(broken)


def test_an_exception_without_a_text_still_arrives() -> None:
    arrived = load_exception(dump_exception(raised(Unprintable())))
    assert isinstance(arrived, Unprintable)


def test_law_12_a_traceback_is_cut_in_its_middle_at_the_limit() -> None:
    assert TRACEBACK_LIMIT == limits.TRACEBACK_LIMIT
    sent = dump_exception(raised(ValueError("é" * 100_000)))
    assert TRACEBACK_LIMIT - 200 < len(sent.traceback.encode()) <= TRACEBACK_LIMIT
    assert sent.traceback.startswith("Traceback (most recent call last)")
    assert "bytes left out" in sent.traceback


def test_causes_and_notes_are_in_the_traceback() -> None:
    def fail() -> None:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            error = DeserializationError("outer")
            error.add_note("a note")
            raise error from inner

    with pytest.raises(DeserializationError) as caught:
        fail()
    arrived = load_exception(dump_exception(caught.value))
    assert "KeyError: 'inner'" in str(arrived.__cause__)
    assert "a note" in str(arrived.__cause__)
