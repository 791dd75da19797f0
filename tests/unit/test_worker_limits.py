"""The limits of an endpoint's workers: the environment over its settings file."""

from pathlib import Path
from typing import Any

import pytest

from funcledger_compose import agent_process
from funcledger_compose.endpoint_dir import EndpointDir, EndpointDirError
from funcledger_compose.worker_limits import limits_of
from funcledger_endpoint.bounded_log import BoundedLog
from funcledger_endpoint.local.environment import cores, worker_environment
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


def test_no_workers_are_one_for_each_core_and_other_numbers_are_refused(
    where: EndpointDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_process, "LocalEngine", lambda workers, **_: workers)
    where.change(workers=0)
    made: Any = agent_process._engine(where.settings(), where, BoundedLog(where.log_file))
    assert made == cores()
    for wrong in (-1, 5000):
        where.change(workers=wrong)
        with pytest.raises(EndpointDirError, match=r"workers"):
            where.settings()


def test_directories_are_kept_of_tasks_that_there_are(where: EndpointDir) -> None:
    assert where.settings().keep_task_directories == "never"
    where.change(keep_task_directories="sometimes")
    with pytest.raises(EndpointDirError, match="sometimes"):
        where.settings()


@pytest.mark.parametrize(
    ("environ", "workers", "threads"),
    [
        ({}, 1, {"OMP_NUM_THREADS": str(cores()), "MKL_NUM_THREADS": str(cores())}),
        ({}, 10_000, {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}),
        ({"MKL_NUM_THREADS": "5"}, 10_000, {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "5"}),
        ({"OMP_NUM_THREADS": "3"}, 10_000, {"OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": None}),
    ],
)
def test_each_worker_has_its_share_of_the_cores_unless_the_environment_says_otherwise(
    environ: dict[str, str], workers: int, threads: dict[str, str | None]
) -> None:
    found = worker_environment(environ, (), workers)
    assert {name: found.get(name) for name in threads} == threads
