"""What the command line says and how it ends, on a real server."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.axes import Running
from tests.support.deadlines import scaled
from tests.support.poll import until_sync
from tests.support.standalone import Standalone

from funcledger import Client, Executor, errors
from funcledger_compose.cli.output import duration

ADA = "flu_" + "a" * 43


def squared(x: int) -> int:
    return x * x


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    made = Standalone(tmp_path_factory.mktemp("server") / "data", "--workers", "1")
    made.more = {"FUNCLEDGER_TOKENS": f"ada={ADA}"}
    made.start()
    try:
        yield made
    finally:
        made.stop()


def test_a_listing_of_tasks_tells_how_long_each_ran(running: Running, tmp_path: Path) -> None:
    user = Standalone(tmp_path / "nothing")
    user.more = {"FUNCLEDGER_URL": running.url, "FUNCLEDGER_TOKEN": running.token}
    with running.client() as client:
        task = client.run(7, endpoint_id="lab", function_id=client.register_function(squared))
        assert client.get_result(task, timeout=scaled(30)) == 49
        shown = client.get_task(task)["run_time"]
        (listed,) = client.get_tasks(limit=1)
    assert 0 < listed["run_time"] == shown
    (told,) = user.cli_json("task", "list", "--limit", "1")
    assert (told["task_id"], told["run_time"]) == (task, shown)
    table = user.cli("task", "list").stdout
    assert duration(shown) in table
    assert "RAN" in table


THRESHOLD = 0


def above(x: int) -> bool:
    return x > THRESHOLD


def test_a_function_whose_globals_change_with_each_call_is_listed_once(
    server: Standalone, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server.client() as client, Executor("local", client) as executor:
        futures = []
        for threshold in range(100):
            monkeypatch.setitem(globals(), "THRESHOLD", threshold)
            futures.append(executor.submit(above, 50))
        assert sum(future.result(scaled(30)) for future in futures) == 50
    (listed,) = (one for one in server.cli_json("function", "list", "--mine") if one["name"] == "above")
    shown = server.cli("function", "show", listed["function_id"]).stdout
    assert "def above(x: int) -> bool:" in shown
    done = server.cli("function", "show", "no-id")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)


def test_a_listing_of_endpoints_says_yes_or_nothing_of_those_that_are_here(server: Standalone) -> None:
    with server.client() as client:
        client.register_endpoint("elsewhere")
    lines = {line.split()[0]: line for line in server.cli("endpoint", "list").stdout.splitlines()}
    assert lines["local"].rstrip().endswith("yes")
    assert "yes" not in lines["elsewhere"]
    assert "False" not in lines["elsewhere"]
    here = {each["name"]: each["here"] for each in server.cli_json("endpoint", "list")}
    assert here == {"local": True, "elsewhere": False}


def test_stopping_an_endpoint_that_is_not_configured_here_is_an_error(server: Standalone) -> None:
    for command in ("stop", "restart", "start"):
        done = server.cli("endpoint", command, "nobody")
        assert done.returncode == 1
        assert "there is no endpoint 'nobody' here" in done.stderr
        assert "funcledger endpoint configure nobody" in done.stderr
        assert "Traceback" not in done.stderr


def test_stopping_an_endpoint_twice_is_no_error(server: Standalone, tmp_path: Path) -> None:
    """And its log says that it was told to stop, and that it did so in good order."""
    assert server.cli("endpoint", "configure", "lab", "--workers", "1").returncode == 0
    assert server.cli("endpoint", "start", "lab").returncode == 0
    log = server.folder / "endpoints" / "lab" / "endpoint.log"
    with server.client() as client:
        until_sync(lambda: client.get_endpoint_status("lab")["status"] == "online", 20)
    done = server.cli("endpoint", "stop", "lab")
    assert (done.returncode, done.stdout) == (0, "Stopped lab.\n")
    said = log.read_text().splitlines()
    assert "told to stop; running tasks have 30 s to finish" in said[-2]
    assert "the agent has stopped in good order" in said[-1]
    done = server.cli("endpoint", "stop", "lab")
    assert (done.returncode, done.stdout) == (0, "lab is not running here.\n")


def test_an_endpoint_whose_credential_nobody_accepts_is_not_said_to_be_started(server: Standalone) -> None:
    assert server.cli("endpoint", "configure", "gone", "--workers", "1").returncode == 0
    with server.client() as client:
        client.delete_endpoint("gone")
    done = server.cli("endpoint", "start", "gone")
    assert (done.returncode, done.stdout) == (1, "")
    log = server.folder / "endpoints" / "gone" / "endpoint.log"
    assert f"endpoint gone did not start. Its log says why: {log}" in done.stderr.replace("\n", "")
    assert "the server refuses this endpoint's credential" in log.read_text()


def test_users_with_a_token_are_let_in_and_things_are_shared_with_them_and_nobody_else(
    server: Standalone,
) -> None:
    with server.client() as owner, Client(server.url, ADA) as ada:
        with pytest.raises(errors.EndpointNotFound):
            ada.get_endpoint_status("local")
        local = owner.get_endpoint_metadata("local")["endpoint_id"]
        for nobody in ({"user": "nobody"}, {"group": "ada"}):
            with pytest.raises(errors.InvalidRequest, match="on this server, so nothing was shared"):
                owner.share_endpoint(local, **nobody)
        owner.share_endpoint(local, user="ada")
        assert ada.get_result(ada.run(3, endpoint_id=local, function_id=ada.register_function(squared))) == 9


def test_commands_that_are_printed_for_a_name_with_a_space_work(server: Standalone, tmp_path: Path) -> None:
    """And the credential opens the endpoint that it belongs to, under no other name."""
    printed = server.cli("endpoint", "register", "my lab").stdout.splitlines()
    credential = next(line.split("=")[1] for line in printed if "FUNCLEDGER_CREDENTIAL=" in line)
    words = shlex.split(next(line for line in printed if " configure " in line))
    assert words[:4] == ["funcledger", "endpoint", "configure", "my lab"]
    there = {"FUNCLEDGER_DATA_DIR": str(tmp_path / "elsewhere"), "FUNCLEDGER_CREDENTIAL": credential}
    done = server.cli("endpoint", "configure", "other", "--url", server.url, **there)
    assert done.returncode == 1
    assert "of the endpoint 'my lab', not of 'other'" in done.stderr.replace("\n", " ")
    done = server.cli("endpoint", "configure", "my lab", "--url", server.url, **there)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "elsewhere" / "endpoints" / "my lab" / "config.toml").exists()
    assert "funcledger endpoint start 'my lab'" in done.stdout
