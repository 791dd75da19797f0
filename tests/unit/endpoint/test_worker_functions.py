"""What a worker keeps of functions, and what it opens anew for each call."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from funcledger_endpoint.local import frames
from funcledger_endpoint.local.limits import Limits
from funcledger_endpoint.worker.call import perform
from funcledger_endpoint.worker.functions import Functions
from funcledger_endpoint.worker.limits import WorkerLimits
from funcledger_payloads import (
    DeserializationError,
    classes,
    code_of,
    dump_arguments,
    dump_function,
    imports,
    load,
)
from funcledger_payloads.arguments import with_function

FACTOR = 2


class Known:
    seen = 0


@pytest.fixture(autouse=True)
def _in_a_worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where a call begins, classes and modules are found otherwise than in a program; only for these."""
    monkeypatch.setattr(classes, "_here", classes.classes_here())
    yield
    imports.take_out()


def doubled(x: int) -> int:
    return x * FACTOR


def counts() -> int:
    Known.seen += 1
    return Known.seen


PROGRAM: dict[str, Any] = {"__name__": "program"}
exec(
    """
def norm(x):
    if "cal" not in globals():
        globals()["cal"] = x
    return x - cal
def helper():
    pass
def attribute(x):
    if not hasattr(helper, "cal"):
        setattr(helper, "cal", x)
    return x - helper.cal
def by_main(x):
    import __main__
    __main__.cal = getattr(__main__, "cal", x)
    return x - __main__.cal
""",
    PROGRAM,
)


def answer(functions: Functions, *args: Any) -> Any:
    report = called(functions, *dump_arguments(args, {}))
    assert not report.kind, report
    return load(report.payload_format, report.payload)


def given(function: Callable[..., Any]) -> Functions:
    functions = Functions()
    body = dump_function(function).bytes
    functions.add(frames.Function(1, hashlib.sha256(body).hexdigest(), body))
    return functions


def called(functions: Functions, payload_format: str, payload: bytes) -> Any:
    return perform(functions, frames.Call(1, 7, 1, 0, payload_format, payload), WorkerLimits(Limits(), 0))


def test_a_function_that_no_call_can_change_is_opened_once() -> None:
    functions = given(doubled)
    assert functions.get(1) is functions.get(1)


@pytest.mark.law(13)
def test_one_that_a_call_changes_is_opened_for_each_call() -> None:
    functions = given(counts)
    reports = [called(functions, *dump_arguments((), {})) for _ in range(3)]
    assert [load(report.payload_format, report.payload) for report in reports] == [1, 1, 1]


@pytest.mark.law(13)
@pytest.mark.parametrize("name", ["norm", "attribute", "by_main"])
def test_one_program_does_not_meet_what_another_has_left_in_the_worker(name: str) -> None:
    """Two programs that send the same bytes have the same function there."""
    functions = given(PROGRAM[name])
    assert [answer(functions, x) for x in (1, 2, 100, 200)] == [0, 0, 0, 0]


@pytest.mark.law(13)
def test_a_kept_function_that_has_been_added_to_is_opened_anew() -> None:
    functions = given(doubled)
    before = functions.get(1)
    vars(before)["note"] = 1
    assert functions.get(1) is not before
    before = functions.get(1)
    before.__globals__["note"] = 1
    assert functions.get(1) is not before
    assert functions.get(1) is functions.get(1)


@pytest.mark.law(13)
def test_by_id_an_argument_whose_class_has_changed_since_is_of_another_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    functions = given(lambda known: (isinstance(known, Known), known.seen))
    assert answer(functions, Known()) == (True, 0)
    monkeypatch.setattr(Known, "seen", 5)
    assert answer(functions, Known()) == (False, 5)
    monkeypatch.setattr(Known, "seen", 0)
    assert answer(functions, Known()) == (True, 0)


@pytest.mark.law(13)
def test_a_function_that_comes_with_its_call_is_the_one_that_runs() -> None:
    functions = given(doubled)
    form, payload = with_function(dump_function(lambda x: x * 100).bytes, *dump_arguments((3,), {}))
    report = called(functions, form, payload)
    assert load(report.payload_format, report.payload) == 300


@pytest.mark.law(15)
def test_a_report_says_who_can_read_the_code_in_its_payload() -> None:
    report = called(given(lambda: lambda: 1), *dump_arguments((), {}))
    assert report.payload_code == code_of(report.payload_format, report.payload) != ""
    message = frames.pack_report(1, 7, report)
    assert frames.read_report(message[4:]) == (1, 7, report)
    assert called(given(lambda: 1), *dump_arguments((), {})).payload_code == ""


def test_a_changed_body_is_refused_each_time() -> None:
    functions = Functions()
    functions.add(frames.Function(1, "0" * 64, dump_function(counts).bytes))
    for _ in range(2):
        with pytest.raises(DeserializationError, match="has SHA-256"):
            functions.get(1)


@pytest.mark.law(15)
@pytest.mark.fault(33)
def test_arguments_of_another_python_are_a_version_mismatch() -> None:
    payload = dump_arguments((lambda: 1,), {})[1].replace(b"cpython-3.", b"cpython-2.")
    report = called(given(doubled), "code/1", payload)
    assert report.kind == "VersionMismatch"
    assert "the value that holds the arguments (code/1" in report.message
    assert "Python 2." in report.message
