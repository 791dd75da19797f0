"""Whatever a value raises while it is opened is an error of that value alone."""

import pickle
import signal
import sys
from typing import Any

import pytest

from funcledger_payloads import (
    DeserializationError,
    ExceptionPayload,
    TaskExecutionFailed,
    dump,
    load,
    load_exception,
)

pytestmark = [pytest.mark.fault(35), pytest.mark.law(15)]


class Raises:
    """Raises when it is opened."""

    def __init__(self, how: str) -> None:
        self.how = how

    def __reduce__(self) -> Any:
        return exec, (self.how,)


HOW = {
    "SystemExit": "raise SystemExit(7)",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "GeneratorExit": "raise GeneratorExit",
    "RecursionError": "exec('def f(): f()\\nf()', {})",
    "MemoryError": "raise MemoryError",
    "BaseException": "raise BaseException('x')",
    "Unprintable": (
        "class Unprintable(Exception):\n    def __str__(self): raise SystemExit(7)\nraise Unprintable"
    ),
}


@pytest.mark.parametrize("how", HOW)
def test_it_is_a_typed_error_that_names_what_was_raised(how: str) -> None:
    payload_format, payload = dump(Raises(HOW[how]))
    with pytest.raises(DeserializationError, match=rf"cannot be read here: {how}"):
        load(payload_format, payload)


@pytest.mark.parametrize("how", HOW)
def test_an_exception_that_cannot_be_opened_is_given_as_its_text(how: str) -> None:
    payload_format, payload = dump(Raises(HOW[how]))
    error = load_exception(ExceptionPayload("MyError", "what it said", "", payload_format, payload))
    assert isinstance(error, TaskExecutionFailed)
    assert "MyError: what it said" in str(error)


class Interrupted:
    """Opened while the user presses Ctrl-C."""

    def __reduce__(self) -> Any:
        return signal.raise_signal, (signal.SIGINT,)


def test_the_users_own_interrupt_is_not_taken_for_the_values() -> None:
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        load(*dump(Interrupted()))
    assert signal.getsignal(signal.SIGINT) is handler


def test_what_lies_about_its_class_is_no_exception() -> None:
    payload = pickle.dumps(Liar())
    error = load_exception(ExceptionPayload("E", "m", "", "pickle", payload))
    assert type(error) is TaskExecutionFailed


class Liar:
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        sys.exit(3)

    def __reduce__(self) -> Any:
        return Liar, ()
