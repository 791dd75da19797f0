"""Payloads that each supported Python wrote are opened there, and elsewhere run by source or are refused."""

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.golden import payload_samples
from tests.golden.payload_samples import Sample, opened, recorded
from tests.support.travelling import (
    Elsewhere,
    another_python,
    other_pythons,
    packages_for_another_python,
)

from funcledger_payloads import VersionMismatch, load, load_function
from funcledger_payloads.container import HERE

pytestmark = [pytest.mark.law(15), pytest.mark.fault(33)]

RECORDED = list(recorded())
OTHERS = other_pythons()


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packages_for_another_python(tmp_path_factory.mktemp("packages") / "lib", *OTHERS)


def check(writer: str, reader: str, sample: Sample, found: str) -> None:
    """What came of the sample, under the Python ``reader``."""
    stands_alone = sample.name == "a function whose source stands alone"
    if sample.code is None or writer == reader or stands_alone:
        assert found == sample.result, sample.name
        return
    versions = [re.escape(name.replace("cpython-", "Python ")) for name in (writer, reader)]
    assert re.search(rf"{versions[0]} .*{versions[1]}: run both sides under the same minor", found), found
    kind = "TaskExecutionFailed" if sample.kind == "exception" else "VersionMismatch"
    assert found.startswith(kind), sample.name


def test_there_is_another_python_to_try_them_with() -> None:
    another_python()


def test_every_supported_python_is_among_them() -> None:
    assert {writer for writer, _ in RECORDED} >= {"cpython-3.11", "cpython-3.12", "cpython-3.13"}
    assert {sample.name for _, sample in RECORDED} == {sample.name for sample in payload_samples.samples()}


@pytest.mark.parametrize(("writer", "sample"), RECORDED, ids=lambda part: getattr(part, "name", part))
def test_it_is_opened_or_refused_here(writer: str, sample: Sample) -> None:
    check(writer, HERE, sample, opened(sample))


def test_what_holds_code_says_so_and_what_holds_none_does_not() -> None:
    for writer, sample in RECORDED:
        plain = sample.name in ("plain data", "a date", "an installed function", "an exception")
        assert (sample.code is None) == plain, sample.name
        assert plain or str(sample.code).startswith(f"{writer} cloudpickle-")


@pytest.mark.parametrize("version", OTHERS)
def test_it_is_opened_or_refused_by_another_python(version: str, packages: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    program = [OTHERS[version], payload_samples.__file__, "check"]
    ran = subprocess.run(program, capture_output=True, text=True, check=True, env=environment, timeout=60)
    answers = json.loads(ran.stdout)
    assert len(answers) == len(RECORDED)
    for (writer, sample), found in zip(RECORDED, answers, strict=True):
        check(writer, f"cpython-{version}", sample, found)


@pytest.mark.parametrize("version", OTHERS)
def test_calls_to_a_worker_of_another_python_run_or_are_refused(version: str, packages: Path) -> None:
    """What is written here today, and what comes back."""
    named = rf"Python {sys.version_info[0]}\.{sys.version_info[1]} .*Python {version}"
    with Elsewhere(OTHERS[version], packages) as there:
        assert there.call(payload_samples.area, 2) == 16
        assert there.call(pow, 2, 3) == 8
        assert there.call(sorted, [3, 1]) == [1, 3]
        for function, args in (
            (payload_samples.loop, (3,)),
            (payload_samples.apply, (payload_samples.helper, 2)),
            (len, ([payload_samples.Point(1)],)),
        ):
            with pytest.raises(VersionMismatch, match=named):
                there.call(function, *args)
        made_there = rf"Python {version} .*Python {sys.version_info[0]}\.{sys.version_info[1]}"
        with pytest.raises(VersionMismatch, match=made_there):
            there.call(returns_a_lambda)


def returns_a_lambda() -> object:
    return lambda: 1


def test_what_v0_1_0_wrote_with_dill_is_read_where_it_was_written_and_functions_are_refused_elsewhere() -> (
    None
):
    kept = json.loads((Path(__file__).parent / "payloads_of_v0.1.0" / "cpython-3.11.json").read_text())
    function, installed, value = (base64.b64decode(kept[name]) for name in ("function", "installed", "value"))
    assert load_function(installed)([1]) == "[1]"
    if HERE == "cpython-3.11":
        assert load_function(function)(2) == 6
        first, second = load("dill", value)
        assert [first.doubled(), second.doubled()] == [4, 6]
        assert type(first) is type(second)
    else:
        with pytest.raises(VersionMismatch, match=r"Python 3\.11 \(dill"):
            load_function(function)
