"""ATTACKS 28: a token file that group or world can read."""

import json
import os
import stat
from pathlib import Path

import pytest

from funcledger import errors
from funcledger.settings import find_server

pytestmark = pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("FUNCLEDGER_URL", "FUNCLEDGER_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FUNCLEDGER_DATA_DIR", str(tmp_path))
    (tmp_path / "server.json").write_text(json.dumps({"url": "http://127.0.0.1:8642/"}))
    (tmp_path / "token").write_text("flu_secret\n")
    (tmp_path / "token").chmod(0o600)
    return tmp_path


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o666])
def test_it_is_taken_away_from_the_others_and_the_user_is_told(home: Path, mode: int) -> None:
    (home / "token").chmod(mode)
    with pytest.warns(UserWarning, match="readable by others"):
        assert find_server().token == "flu_secret"
    assert stat.S_IMODE((home / "token").stat().st_mode) == 0o600
    assert find_server().token == "flu_secret"


def test_where_that_cannot_be_mended_it_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a file that belongs to somebody else; the refusal comes before the token is used."""
    (home / "token").chmod(0o644)

    def not_yours(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchmod", not_yours)
    with pytest.raises(errors.PermissionDenied, match=r"mode 0644.*chmod 600"):
        find_server()


def test_a_private_file_is_read_without_a_word(home: Path) -> None:
    server = find_server()
    assert (server.url, server.token) == ("http://127.0.0.1:8642", "flu_secret")
    assert "flu_secret" not in repr(server)


def test_arguments_come_before_the_environment_before_the_directory(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUNCLEDGER_TOKEN", "flu_environment")
    server = find_server()
    assert (server.url, server.token) == ("http://127.0.0.1:8642", "flu_environment")
    monkeypatch.setenv("FUNCLEDGER_URL", "https://lab.example")
    server = find_server()
    assert (server.url, server.token) == ("https://lab.example", "flu_environment")
    server = find_server("http://other", "flu_argument")
    assert (server.url, server.token) == ("http://other", "flu_argument")


def test_no_server_and_no_token_are_said_plainly(home: Path) -> None:
    (home / "token").unlink()
    with pytest.raises(errors.Unauthenticated, match="FUNCLEDGER_TOKEN"):
        find_server()
    (home / "server.json").unlink()
    with pytest.raises(errors.ServiceUnavailable, match="funcledger up"):
        find_server()
    (home / "server.json").write_text("{}")
    with pytest.raises(errors.ServiceUnavailable, match="cannot be read"):
        find_server()
