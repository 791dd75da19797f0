"""An older data directory is brought up to date step by step; a newer one is refused with both numbers."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from funcledger_compose.data_dir import DataDir, DataDirError
from funcledger_compose.upgrades import Step
from funcledger_event_log.sqlite import DirectoryLock, SqliteLog


class PowerCut(BaseException):
    """The machine is gone."""


def said(path: Path) -> dict[str, int]:
    found: dict[str, int] = json.loads((path / "format.json").read_text())
    return found


class Chain:
    """Steps that a later release might have; each adds a line to a file, and may be cut off in between."""

    def __init__(self, *, cut_off: int = 0) -> None:
        self.ran: list[str] = []
        self._cut_off = cut_off
        self.steps = (Step("to two", self._step("two")), Step("to three", self._step("three")))

    def _step(self, name: str) -> Callable[[Path], None]:
        def change(directory: Path) -> None:
            self.ran.append(name)
            (directory / name).write_text(name)
            if self._cut_off == len(self.ran):
                raise PowerCut
            (directory / f"{name} done").write_text(name)

        return change


@pytest.fixture
async def older(tmp_path: Path) -> Path:
    """A directory of the first format, with a log in it."""
    data = DataDir(tmp_path / "data", steps=())
    data.open()
    log = await SqliteLog.open(data.log)
    await log.create_topic("tasks", 1)
    await log.close()
    return data.path


def test_an_older_directory_goes_through_every_step_once(
    older: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chain = Chain()
    with caplog.at_level(logging.INFO):
        DataDir(older, chain.steps).open()
        DataDir(older, chain.steps).open()
    assert chain.ran == ["two", "three"]
    assert said(older) == {"format": 3}
    assert "from format 1 to 2: to two" in caplog.text
    assert "from format 2 to 3: to three" in caplog.text


def test_a_new_directory_has_todays_format_and_needs_no_step(tmp_path: Path) -> None:
    chain = Chain()
    DataDir(tmp_path / "new", chain.steps).open()
    assert chain.ran == []
    assert said(tmp_path / "new") == {"format": 3}


@pytest.mark.parametrize(
    ("cut_off", "between", "again"),
    [(1, {"format": 1, "becoming": 2}, ["two", "three"]), (2, {"format": 2, "becoming": 3}, ["three"])],
)
def test_an_upgrade_that_was_cut_off_is_gone_on_with(
    older: Path, cut_off: int, between: dict[str, int], again: list[str]
) -> None:
    with pytest.raises(PowerCut):
        DataDir(older, Chain(cut_off=cut_off).steps).open()
    assert said(older) == between
    chain = Chain()
    DataDir(older, chain.steps).open()
    assert chain.ran == again
    assert said(older) == {"format": 3}
    assert (older / "two done").exists()
    assert (older / "three done").exists()


def test_what_an_upgrade_has_begun_with_is_newer_to_the_version_before(older: Path) -> None:
    """It might find half of what it knows."""
    with pytest.raises(PowerCut):
        DataDir(older, Chain(cut_off=1).steps).open()
    with pytest.raises(DataDirError, match=r"newer funcledger \(format 2; this version reads up to 1\)"):
        DataDir(older, steps=()).open()


def test_a_newer_directory_is_refused_with_both_numbers_and_what_to_do(older: Path) -> None:
    DataDir(older, Chain().steps).open()
    with pytest.raises(DataDirError, match=r"\(format 3; this version reads up to 1\)\. Upgrade: "):
        DataDir(older, steps=()).open()
    assert said(older) == {"format": 3}


def test_nothing_is_upgraded_under_a_running_server(older: Path) -> None:
    chain = Chain()
    lock = DirectoryLock(older / "log")
    try:
        with pytest.raises(DataDirError, match=r"another process .* Stop that server, or name another"):
            DataDir(older, chain.steps).open()
    finally:
        lock.release()
    assert chain.ran == []
    assert said(older) == {"format": 1}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "x"}', '{"format": 0}'])
def test_a_directory_that_does_not_say_its_format_is_refused(older: Path, text: str) -> None:
    (older / "format.json").write_text(text)
    with pytest.raises(DataDirError, match=r"does not say a format version.*Restore it from a backup"):
        DataDir(older).open()


def test_a_log_whose_directory_lost_its_format_is_not_taken_for_a_new_one(older: Path) -> None:
    (older / "format.json").unlink()
    with pytest.raises(DataDirError, match="does not say a format version"):
        DataDir(older).open()
