"""Native parts are made once, whoever asks at the same time, and are the ones that the compose file names."""

import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.containers import composed

from funcledger_compose.native.build import PartMissing, door_binary

#: Asks for the database's server, as a worker of the tests does, and prints what is in it.
ASK = "from funcledger_compose.native.build import mongo_binary; print(mongo_binary().read_text())"
#: Stands for Go: notes that it was called, takes its time, and writes what -o names.
GO = """\
#!/bin/sh
echo called >> "$CALLS"
sleep 0.3
while [ "$1" != -o ]; do shift; done
echo whole > "$2"
"""


def test_who_asks_while_another_builds_waits_and_gets_what_that_one_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "go").write_text(GO)
    (tmp_path / "bin" / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("FUNCLEDGER_PARTS_CACHE", str(tmp_path / "parts"))
    with ThreadPoolExecutor() as threads:
        said = list(threads.map(lambda _: subprocess.check_output([sys.executable, "-c", ASK]), range(2)))
    assert said == [b"whole\n\n"] * 2
    assert (tmp_path / "calls").read_text() == "called\n"


def test_the_door_is_the_release_that_the_compose_file_names() -> None:
    said = subprocess.check_output([door_binary(), "version"], text=True)
    assert said.startswith(f"v{composed('door').image.removeprefix('caddy:')}.")


def test_without_a_door_it_is_said_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PartMissing, match=r"install requirements-dev\.lock"):
        door_binary()
