"""ATTACKS 36: what a task finds in its environment, its descriptors, and the processes above it."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.support.poll import until_sync
from tests.support.standalone import Standalone, projectors_of, standalone

from funcledger import Client
from funcledger_endpoint.local.environment import worker_environment

pytestmark = pytest.mark.attack(36)

#: In the environment of who starts a server or an endpoint.
SECRETS = {
    "FUNCLEDGER_TOKEN": "s-user",
    "FUNCLEDGER_CREDENTIAL": "s-endpoint",
    "FUNCLEDGER_MONGO_URI": "mongodb://u:s-mongo@h/",
    "FUNCLEDGER_KAFKA_SASL_PASSWORD": "s-kafka",
    "AWS_SECRET_ACCESS_KEY": "s-aws",
    "GH_TOKEN": "s-github",
    "HF_TOKEN": "s-hub",
    "PIP_INDEX_URL": "https://u:s-index@pypi.example/",
    "https_proxy": "http://u:s-proxy@proxy.example",
    "SLURM_JWT": "s-slurm",
    "PBS_JOBCOOKIE": "s-pbs",
    "SSH_AUTH_SOCK": "/tmp/s-agent",
    "LAB_DATABASE": "s-lab",
}
HARMLESS = {
    "OMP_NUM_THREADS": "2",
    "SLURM_JOB_ID": "7",
    "CUDA_VISIBLE_DEVICES": "0",
    "LC_ALL": "C.UTF-8",
    "CONDA_PREFIX": "/opt/conda",
    "http_proxy": "http://proxy.example",
}
NAMED = {"MY_VAR": "mine", "MY_TOKEN": "mine too"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    """Started by somebody whose environment is full of secrets, and who passes two variables on by name."""
    folder = tmp_path_factory.mktemp("home") / "data"
    program, more = "tests.support.unprivileged", SECRETS | HARMLESS | NAMED
    with standalone(folder, "--workers", "2", program=program, more=more) as running:
        agent, config = running.agent_pid(), folder / "endpoints" / "local" / "config.toml"
        config.write_text(
            config.read_text().replace("environment = []", 'environment = ["MY_VAR", "MY_TOKEN"]')
        )
        assert agent is not None
        os.kill(agent, signal.SIGKILL)  # the next one reads it
        until_sync(lambda: running.agent_pid() not in (None, agent), 20)
        yield running


@pytest.fixture
def client(server: Standalone) -> Iterator[Client]:
    with server.client() as made:
        yield made


def environment() -> dict[str, str]:
    return dict(os.environ)


def descriptors() -> dict[int, str]:
    """Of this process, and what a program that it starts has."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
    return found


def descriptors_of_child() -> list[str]:
    return subprocess.check_output(["ls", "/proc/self/fd"], text=True).split()


def look_at_agent(what: str) -> bytes:
    with open(f"/proc/{os.getppid()}/{what}", "rb") as file:
        return file.read(1)


def asked(client: Client, function: object, *arguments: object) -> object:
    task = client.run(*arguments, endpoint_id="local", function_id=client.register_function(function))  # type: ignore[arg-type]
    return client.get_result(task, timeout=30)


def test_a_task_finds_no_secret_in_its_environment(client: Client) -> None:
    found = asked(client, environment)
    assert isinstance(found, dict)
    assert not [name for name, value in found.items() if "s-" in value and value in SECRETS.values()]
    assert SECRETS.keys().isdisjoint(found)
    assert not [name for name in found if name.startswith("FUNCLEDGER_") and name != "FUNCLEDGER_WORKER"]
    assert HARMLESS.items() <= found.items()
    assert NAMED.items() <= found.items()
    assert found["PATH"] == os.environ["PATH"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_task_has_its_own_pipes_and_no_other_descriptor(client: Client) -> None:
    found = asked(client, descriptors)
    assert isinstance(found, dict)
    kinds = [name.partition(":")[0] for name in map(os.path.basename, found.values())]
    # "1" is the directory it begins in.
    assert set(kinds) == {"pipe", "memfd", "null", "1"}, found
    # Calls, reports, the agent's life, and what it prints.
    assert len({name for name in found.values() if name.startswith("pipe:")}) == 4
    assert len({name for name in found.values() if name.startswith("/memfd:")}) == 1
    # 3 is the listing's own.
    assert asked(client, descriptors_of_child) == ["0", "1", "2", "3"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize("what", ["environ", "mem", "maps", "fd/0"])
def test_a_task_cannot_look_into_its_agent(client: Client, what: str) -> None:
    with pytest.raises(PermissionError):
        asked(client, look_at_agent, what)


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_task_cannot_look_into_the_server_and_its_projector(server: Standalone, client: Client) -> None:
    (projector,) = projectors_of(server.pid)
    for pid in (server.pid, projector.pid):
        with pytest.raises(PermissionError):
            asked(client, read, f"/proc/{pid}/environ")
    # A worker's own can be read: it is not something else that keeps the others.
    assert b"OMP_NUM_THREADS" in read_own(client)


def own_environ() -> bytes:
    with open(f"/proc/{os.getpid()}/environ", "rb") as file:
        return file.read()


def read_own(client: Client) -> bytes:
    found = asked(client, own_environ)
    assert isinstance(found, bytes)
    return found


@pytest.mark.parametrize(
    ("name", "value", "passes"),
    [
        ("PATH", "/bin", True),
        ("LC_NUMERIC", "C", True),
        ("MKL_NUM_THREADS", "1", True),
        ("HTTPS_PROXY", "http://proxy:3128", True),
        ("HTTPS_PROXY", "http://me:secret@proxy:3128", False),
        ("CONDA_TOKEN", "x", False),
        ("SLURM_JWT", "x", False),
        ("MPI_PASSWORD", "x", False),
        ("PYTHON_KEYRING_BACKEND", "x", False),
        ("AWS_ACCESS_KEY_ID", "x", False),
        ("FUNCLEDGER_DATA_DIR", "/data", False),
        ("XOMP_NUM_THREADS", "1", False),
    ],
)
def test_what_goes_on_is_listed_and_not_what_does_not(name: str, value: str, passes: bool) -> None:
    assert (name in worker_environment({name: value})) is passes
    assert worker_environment({name: value}, [name]) == {name: value}
