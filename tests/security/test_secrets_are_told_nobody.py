"""ATTACKS 27: a token and credentials that are used stand in the files they are kept in, and nowhere else.

The real server, its agent and its workers are used with all they have, at the most talkative; then everything
that they have left behind, and whatever runs, is searched for the secrets.
"""

import base64
import os
from collections.abc import Iterator
from typing import Any

import httpx2
import psutil
import pytest
from tests.support.deadlines import scaled
from tests.support.poll import until_sync
from tests.support.standalone import Standalone, standalone

from funcledger import Client

pytestmark = [pytest.mark.attack(27), pytest.mark.timeout(180)]
#: Has the server say all it can.
MORE = {
    "FUNCLEDGER_LOG_LEVEL": "debug",
    "FUNCLEDGER_TRACE": "1",
}
#: Files that secrets are kept in.
_KEPT = ("token", "credential")


def environment() -> dict[str, str]:
    return dict(os.environ)


def fail(text: str) -> None:
    raise ValueError(text)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    with standalone(tmp_path_factory.mktemp("home") / "data", "--workers", "1", more=MORE) as running:
        done = running.cli("endpoint", "configure", "lab", "--workers", "1")
        assert done.returncode == 0, done.stderr
        yield running


@pytest.fixture(scope="module")
def secrets(server: Standalone) -> dict[str, str]:
    """The ends of every secret there is."""
    found = {
        str(path.relative_to(server.folder)): path.read_text().strip()
        for path in server.folder.rglob("*")
        if path.name in _KEPT and path.is_file()
    }
    assert set(found) == {"token", "endpoints/local/credential", "endpoints/lab/credential"}
    return {name: text[-32:] for name, text in found.items()}


@pytest.fixture(scope="module")
def said(server: Standalone, secrets: dict[str, str]) -> dict[str, bytes]:
    """What was told to users and to strangers, by what they did; workers' environment among it."""
    told: dict[str, bytes] = {}
    with server.client() as client:
        told["client"] = repr(client).encode() + repr(vars(client)).encode()
        told["a worker's environment"] = repr(_asked(client, environment)).encode()
        with pytest.raises(ValueError, match="as it was told") as caught:
            _asked(client, fail, "as it was told")
        told["exception"] = repr((caught.value, caught.value.__cause__)).encode()
    for words in (("task", "list"), ("endpoint", "list"), ("endpoint", "configure", "lab"), ("task", "x")):
        done = server.cli(*words)
        told[" ".join(words)] = (done.stdout + done.stderr).encode()
    for token in [(server.folder / name).read_text().strip() for name in secrets]:
        _refused(server, token, told)
    return told


def _asked(client: Client, function: Any, *arguments: object) -> object:
    task = client.run(*arguments, endpoint_id="local", function_id=client.register_function(function))
    return client.get_result(task, timeout=scaled(30))


def _refused(server: Standalone, token: str, told: dict[str, bytes]) -> None:
    """Requests with the secret in its place that are refused for something else; one with it amid the log."""
    bearer = {"Authorization": f"Bearer {token}"}
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/v1/gateway/identity", {"headers": bearer}),
        ("GET", "/v1/tasks", {"headers": bearer}),
        ("POST", "/v1/tasks", {"headers": bearer, "content": b"\xff"}),
        ("POST", "/v1/gateway/events", {"headers": bearer, "content": b"\xff"}),
        ("GET", "/v1/tasks", {"headers": {"Authorization": f"Basic {token}"}}),
        ("GET", "/v1/tasks", {"headers": {"Authorization": f"Bearer {token} {token}"}}),
        ("GET", "/v1/nothing", {"headers": bearer | {"Host": "elsewhere"}}),
        ("GET", "/v1/tasks", {"params": {"access_token": token}}),
    ]
    for method, path, options in requests:
        answer = httpx2.request(method, server.url + path, **options)
        told[f"{method} {path} {answer.status_code}"] = repr(answer.headers).encode() + answer.content


def _files(server: Standalone) -> Iterator[tuple[str, bytes]]:
    """All that was written, by the server and beside it: logs, the log, read models, settings."""
    yield server.output.name, server.output.read_bytes()
    for path in server.folder.rglob("*"):
        if path.is_file() and path.name not in _KEPT:
            yield str(path.relative_to(server.folder)), path.read_bytes()


def _processes(server: Standalone) -> Iterator[tuple[str, bytes]]:
    """What everybody on the machine sees of processes, and the environments that are not a service's own."""
    for process in psutil.process_iter():
        try:
            yield f"arguments of {process.pid}", "\0".join(process.cmdline()).encode()
        except psutil.Error:
            continue
    agent = psutil.Process(server.agent_pid())
    workers = agent.children(recursive=True)
    assert workers
    for process in (psutil.Process(server.pid), *psutil.Process(server.pid).children(), agent, *workers):
        yield f"environment of {process.pid}", repr(process.environ()).encode()


def _found(secrets: dict[str, str], places: Iterator[tuple[str, bytes]]) -> list[tuple[str, str]]:
    return [
        (name, where)
        for where, content in places
        for name, secret in secrets.items()
        if secret.encode() in content or base64.b64encode(secret.encode())[:-2] in content
    ]


def test_no_secret_is_told_to_anybody(
    server: Standalone, secrets: dict[str, str], said: dict[str, bytes]
) -> None:
    kept = [(name, (server.folder / name).read_bytes()) for name in secrets]
    assert len(_found(secrets, iter(kept))) == len(kept), "what is looked for can be found"
    assert not _found(secrets, iter(said.items()))


def test_no_secret_is_written_anywhere_else(
    server: Standalone, secrets: dict[str, str], said: dict[str, bytes]
) -> None:
    files = dict(_files(server))
    assert {"log/log.db", "read_models.db", "endpoints/local/endpoint.log"} <= files.keys()
    assert b"as it was told" in files["log/log.db"] + files["log/log.db-wal"], "events can be searched"
    assert not _found(secrets, iter(files.items()))


def test_no_secret_is_seen_in_a_process(
    server: Standalone, secrets: dict[str, str], said: dict[str, bytes]
) -> None:
    until_sync(lambda: psutil.Process(server.agent_pid()).children(), 20)
    assert not _found(secrets, _processes(server))
