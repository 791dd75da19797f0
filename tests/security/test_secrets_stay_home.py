"""ATTACKS 35: the token and credentials that are kept on a machine reach no server but that machine's own."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.impostor import Impostor, impostor
from tests.support.poll import until_sync
from tests.support.standalone import Standalone, funcledger, standalone

from funcledger import Client, errors
from funcledger_compose.data_dir import DataDir
from funcledger_compose.endpoint_dir import LOCAL, EndpointDir
from funcledger_compose.local_endpoint import move_to_socket
from funcledger_schemas import local_socket

pytestmark = [pytest.mark.attack(35), pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def dead(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Standalone, Impostor]]:
    """A server that was killed, and whoever took its port since. Its two endpoints were configured here."""
    with standalone(tmp_path_factory.mktemp("dead") / "data", "--workers", "1") as server:
        done = server.cli("endpoint", "configure", "lab", "--workers", "1")
        assert done.returncode == 0, done.stderr
        server.kill()
        with impostor(server.port) as listener:
            yield server, listener


@pytest.fixture
def user(dead: tuple[Standalone, Impostor], monkeypatch: pytest.MonkeyPatch) -> Standalone:
    """The user's environment, in this process."""
    monkeypatch.delenv("FUNCLEDGER_TOKEN", raising=False)
    monkeypatch.delenv("FUNCLEDGER_URL", raising=False)
    monkeypatch.setenv("FUNCLEDGER_DATA_DIR", str(dead[0].folder))
    return dead[0]


@pytest.mark.parametrize("named", [False, True], ids=["found", "named"])
def test_a_client_sends_nothing_to_who_took_the_dead_servers_port(
    dead: tuple[Standalone, Impostor], user: Standalone, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    if named:
        monkeypatch.setenv("FUNCLEDGER_URL", user.url)
    with Client(patience=0.2) as client, pytest.raises(errors.ServiceUnavailable) as caught:
        client.get_tasks()
    assert "Is it running on this machine?" in str(caught.value)
    assert (dead[1].visits, dead[1].heard) == (0, b"")


@pytest.mark.parametrize(
    "words", [("task", "list"), ("endpoint", "register", "other"), ("endpoint", "configure", "other")]
)
def test_neither_does_the_command_line(dead: tuple[Standalone, Impostor], words: tuple[str, ...]) -> None:
    done = dead[0].cli(*words)
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr
    assert (dead[1].visits, dead[1].heard) == (0, b"")


def test_neither_do_agents_of_endpoints_on_this_machine(dead: tuple[Standalone, Impostor]) -> None:
    """The one that outlived the server, and one that is started in vain."""
    server, listener = dead
    assert server.agent_pid() is not None
    outlived = server.folder / "endpoints" / "local" / "endpoint.log"
    until_sync(lambda: "looking for the next one" in outlived.read_text(), 20)
    until_sync(lambda: "the feed of tasks cannot be opened" in outlived.read_text(), 20)
    with (server.folder / "lab.out").open("wb") as output:
        agent = subprocess.Popen(
            funcledger("endpoint", "run", "lab"), env=server.environment, stdout=output, stderr=output
        )
    try:
        until_sync(lambda: b"trying again" in (server.folder / "lab.out").read_bytes(), 20)
    finally:
        agent.kill()
        agent.wait(10)
    assert (listener.visits, listener.heard) == (0, b"")


def test_a_secret_that_is_given_goes_to_the_address_that_is_given(tmp_path: Path) -> None:
    """As through a tunnel. Also what an impostor would hear, if there were anything to be heard."""
    elsewhere = Standalone(tmp_path / "elsewhere")
    with impostor() as listener:
        with Client(listener.url, "flu_given", patience=0.2) as client:
            client.transport.get("/version")
        assert b"Bearer flu_given" in listener.heard
        elsewhere.more = {"FUNCLEDGER_URL": listener.url, "FUNCLEDGER_CREDENTIAL": "fle_given"}
        elsewhere.cli("endpoint", "configure", "lab")
        assert b"Bearer fle_given" in listener.heard


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Standalone, Impostor]]:
    """A server that now has another port, and a relay to it on the one it had: it has every answer."""
    server = Standalone(tmp_path_factory.mktemp("moved") / "data", "--workers", "1")
    with (
        standalone(server.folder, "--workers", "1") as running,
        impostor(server.port, real=running.port) as relay,
    ):
        yield running, relay


def test_who_passes_everything_on_to_the_real_server_is_not_asked_either(
    moved: tuple[Standalone, Impostor], monkeypatch: pytest.MonkeyPatch
) -> None:
    running, relay = moved
    monkeypatch.delenv("FUNCLEDGER_TOKEN", raising=False)
    monkeypatch.setenv("FUNCLEDGER_DATA_DIR", str(running.folder))
    with Client() as client:
        function = client.register_function(abs)
        assert client.get_result(client.run(-7, endpoint_id="local", function_id=function), timeout=20) == 7
    assert running.cli("task", "list").returncode == 0
    assert EndpointDir(running.folder / "endpoints", "local").settings().url == LOCAL
    assert (relay.visits, relay.heard) == (0, b"")


@pytest.mark.parametrize("how", ["environment", "argument"])
def test_another_servers_address_is_refused_the_local_token_with_what_to_set(
    moved: tuple[Standalone, Impostor], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    running, relay = moved
    monkeypatch.delenv("FUNCLEDGER_TOKEN", raising=False)
    monkeypatch.setenv("FUNCLEDGER_DATA_DIR", str(running.folder))
    monkeypatch.setenv("FUNCLEDGER_URL", relay.url if how == "environment" else running.url)
    with pytest.raises(errors.Unauthenticated, match=f"{relay.url}.*Set FUNCLEDGER_TOKEN"):
        Client(relay.url if how == "argument" else None)
    for words in (("task", "list"), ("endpoint", "configure", "lab")):
        done = running.cli(*words, FUNCLEDGER_URL=relay.url)
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)
        assert "Set FUNCLEDGER_TOKEN" in done.stderr
    assert (relay.visits, relay.heard) == (0, b"")


def test_every_name_of_the_loopback_interface_is_this_machines_server(
    moved: tuple[Standalone, Impostor],
) -> None:
    running, _ = moved
    done = running.cli("task", "list", FUNCLEDGER_URL=f"http://localhost:{running.port}/")
    assert done.returncode == 0, done.stderr


def test_endpoints_that_knew_the_port_know_the_socket_once_the_server_has_started(tmp_path: Path) -> None:
    """Those of an older version; one that was told another server's address keeps it."""
    data = DataDir(tmp_path)
    data.announce("http://127.0.0.1:1")
    told = {"old": "http://127.0.0.1:1", "new": "http://127.0.0.1:2", "far": "http://127.0.0.1:3"}
    for name, url in told.items():
        EndpointDir(data.endpoints, name).configure("an-id", url, "fle_x", 1)
    (data.endpoints / "broken").mkdir()
    (data.endpoints / "broken" / "config.toml").write_text("url = ")
    move_to_socket(data, "http://127.0.0.1:2")
    found = {name: EndpointDir(data.endpoints, name).settings().url for name in told}
    assert found == {"old": LOCAL, "new": LOCAL, "far": "http://127.0.0.1:3"}


def test_a_socket_in_a_directory_with_a_long_name_can_be_used(tmp_path: Path) -> None:
    """Longer than the address of a socket may be."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    path = folder / local_socket.NAME
    for _ in range(2):  # the second in place of one that a killed server left behind
        with local_socket.listen(path) as listening, local_socket.connect(path, 1.0) as connection:
            accepted, _ = listening.accept()
            with accepted:
                connection.sendall(b"x")
                assert accepted.recv(1) == b"x"
            assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConnectionRefusedError):
        local_socket.connect(path, 1.0)
