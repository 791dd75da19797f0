"""Settings of a server: the command line over the environment over the file over the defaults."""

from pathlib import Path

import pytest

from funcledger_compose.settings import SettingsError, load


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "funcledger.toml"
    path.write_text('[server]\nport = 1111\nworkers = 3\nhost = "::1"\nallowed_hosts = ["a.example"]\n')
    return path


def test_the_command_line_wins_over_the_environment_over_the_file_over_the_defaults(file: Path) -> None:
    environ = {
        "FUNCLEDGER_CONFIG": str(file),
        "FUNCLEDGER_WORKERS": "4",
        "FUNCLEDGER_PORT": "2222",
        "FUNCLEDGER_ALLOWED_HOSTS": "b.example, c.example",
    }
    settings = load({"port": 3333, "host": None}, environ)
    assert (settings.port, settings.workers, settings.host) == (3333, 4, "::1")
    assert settings.allowed_hosts == ("b.example", "c.example")
    assert settings.partitions == 16


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "70000"),
        ("PORT", "x"),
        ("WORKERS", "-1"),
        ("LOG_LEVEL", "loud"),
        ("BACKLOG_TASKS", "0"),
        ("REQUEST_RATE", "-1"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name.lower()):
        load(environ={f"FUNCLEDGER_{name}": value})


def test_a_setting_there_is_not_is_named(tmp_path: Path) -> None:
    path = tmp_path / "funcledger.toml"
    path.write_text("[server]\nprot = 1\n")
    with pytest.raises(SettingsError, match="prot"):
        load(environ={"FUNCLEDGER_CONFIG": str(path)})


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"gone\.toml"):
        load(environ={"FUNCLEDGER_CONFIG": str(tmp_path / "gone.toml")})
