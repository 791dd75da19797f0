"""The limits of an endpoint's workers: the environment over its settings file."""

from pathlib import Path
from typing import Any

import pytest

from funcledger_compose.endpoint_dir import EndpointDir, EndpointDirError
from funcledger_compose.worker_limits import limits_of
from funcledger_endpoint.local.limits import Limits


@pytest.fixture
def where(tmp_path: Path) -> EndpointDir:
    made = EndpointDir(tmp_path, "lab")
    made.configure("00000000-0000-7000-8000-00000000e001", "http://127.0.0.1:1", "fle_secret", 2)
    return made


def limits(where: EndpointDir, environ: Any = None, **changed: Any) -> Limits:
    where.change(**changed)
    return limits_of(where.settings(), where, environ or {})


def test_a_fresh_endpoint_limits_processes_alone(where: EndpointDir) -> None:
    assert limits(where) == Limits(memory=None, processes=4096, walltime=None)


def test_what_the_file_says_holds_and_the_environment_comes_before_it(where: EndpointDir) -> None:
    assert limits(where, memory="4GB", processes=100, walltime=60) == Limits(
        memory=4_000_000_000, processes=100, walltime=60.0
    )
    environ = {"FUNCLEDGER_ENDPOINT_MEMORY": "512 MiB", "FUNCLEDGER_ENDPOINT_PROCESSES": "0"}
    assert limits(where, environ) == Limits(memory=536_870_912, processes=None, walltime=60.0)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("memory", "much", "not a size"),
        ("memory", "1MB", "1 MB is not enough for a worker; 128 MB is the least"),
        ("processes", 2, "at least 4"),
        ("processes", -1, "below zero"),
        ("walltime", -1, "below zero"),
    ],
)
def test_a_limit_that_cannot_be_used_is_named(
    where: EndpointDir, name: str, value: str | int, sentence: str
) -> None:
    with pytest.raises(EndpointDirError, match=sentence) as caught:
        limits(where, None, **{name: value})
    assert f"{where.config}: {name}" in str(caught.value)
    with pytest.raises(EndpointDirError, match=f"FUNCLEDGER_ENDPOINT_{name.upper()}: .*{sentence}"):
        limits_of(where.settings(), where, {f"FUNCLEDGER_ENDPOINT_{name.upper()}": str(value)})
