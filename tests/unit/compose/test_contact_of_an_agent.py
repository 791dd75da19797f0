"""Starting an endpoint says whether its agent has found the server."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.support.deadlines import scaled

from funcledger_compose.cli import endpoint
from funcledger_compose.endpoint_dir import EndpointDir
from funcledger_compose.native.process import free_port
from funcledger_schemas.ids import new_id


def test_an_agent_without_a_server_is_started_and_said_to_have_no_contact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(endpoint, "_CONTACT", scaled(3.0))
    monkeypatch.setattr(endpoint, "root", lambda: tmp_path / "endpoints")
    url = f"http://127.0.0.1:{free_port()}"
    where = EndpointDir(tmp_path / "endpoints", "lab")
    where.configure(new_id(), url, "fle_nobody", 1)
    started: list[subprocess.Popen[bytes]] = []

    def spawn(found: EndpointDir, spawn: Any = endpoint.spawn) -> Any:
        started.append(spawn(found))
        return started[0]

    monkeypatch.setattr(endpoint, "spawn", spawn)
    try:
        endpoint.start("lab")
        said = " ".join(capsys.readouterr().out.split())
        assert f"It has no contact with the server at {url} yet: the gateway cannot be reached" in said
        assert "goes on trying" in said
    finally:
        assert where.stop(scaled(20))
        started[0].wait(scaled(5))


def test_contact_is_told_of_the_process_that_runs_and_of_no_earlier_one(tmp_path: Path) -> None:
    where = EndpointDir(tmp_path, "lab")
    where.path.mkdir()
    assert where.contact(os.getpid()) == (False, "")
    where.tell_contact("it rains")
    assert where.contact(os.getpid()) == (False, "it rains")
    where.tell_contact(None)
    assert where.contact(os.getpid()) == (True, "")
    assert where.contact(1) == (False, "")
