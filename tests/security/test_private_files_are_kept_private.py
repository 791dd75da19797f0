"""ATTACKS 28: credentials and directories that others can read: closed with a word, or refused."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from funcledger import errors
from funcledger.settings import find_server
from funcledger_compose.data_dir import DataDir
from funcledger_compose.endpoint_dir import EndpointDir

pytestmark = [
    pytest.mark.attack(28),
    pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's"),
]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataDir:
    monkeypatch.setenv("FUNCLEDGER_DATA_DIR", str(tmp_path))
    for name in ("FUNCLEDGER_URL", "FUNCLEDGER_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    made = DataDir(tmp_path)
    made.open()
    made.token()
    made.announce("http://127.0.0.1:8642")
    EndpointDir(made.endpoints, "lab").configure("an-id", "http://127.0.0.1:1", "fle_x", 1)
    return made


#: What is opened to others, and who then reads a secret in it.
CASES: dict[str, Callable[[DataDir], object]] = {
    "": lambda _: find_server(),
    "token": lambda data: data.token(),
    "endpoints/lab": lambda data: EndpointDir(data.endpoints, "lab").credential(),
    "endpoints/lab/credential": lambda data: EndpointDir(data.endpoints, "lab").credential(),
}


@pytest.mark.parametrize("name", CASES)
def test_what_others_can_read_is_closed_with_a_word(data: DataDir, name: str) -> None:
    path = data.path / name
    wanted = 0o700 if path.is_dir() else 0o600
    path.chmod(wanted | 0o055)
    with pytest.warns(UserWarning, match=f"{path} was"):
        CASES[name](data)
    assert stat.S_IMODE(path.stat().st_mode) == wanted
    CASES[name](data)  # without a word


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_be_closed_is_refused(data: DataDir, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system that takes the call, and keeps no modes."""
    path = data.path / name
    path.chmod(path.stat().st_mode | 0o055)
    monkeypatch.setattr(os, "fchmod", lambda *_: None)
    with pytest.raises(errors.PermissionDenied, match=f"{path} is readable by others"):
        CASES[name](data)


def test_what_an_agent_keeps_is_not_for_others(data: DataDir) -> None:
    where = EndpointDir(data.endpoints, "lab")
    with where.open_log(), where.running():
        kept = [path for path in where.path.iterdir() if path.is_file()]
    assert {"agent.lock", "endpoint.log"} <= {path.name for path in kept}
    assert {path.name for path in kept if path.name != "config.toml" and path.stat().st_mode & 0o077} == set()
