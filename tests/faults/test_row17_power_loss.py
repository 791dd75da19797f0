"""Row 17: what is acknowledged has been synced to the disk, as far as a test without a power cut can tell.

A killed process proves nothing here: what it wrote is in the system's memory, and reaches the disk all the
same. So what is tested is what the promise rests on: SQLite in WAL mode with synchronous=FULL on each
connection that writes, large values synced before the commit that refers to them, the answer after both.
"""

import os
import sqlite3
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.support.logs import at, collect, new

from funcledger_event_log.sqlite import SqliteLog
from funcledger_event_log.sqlite.database import FORMAT
from funcledger_event_log.sqlite.segment import LARGE

FULL = 2
_WRITES = ("INSERT", "UPDATE", "DELETE", "CREATE", "REPLACE", "COMMIT", "PRAGMA USER_VERSION =")


class Watched(sqlite3.Connection):
    """A connection that notes what it executes."""

    all: ClassVar["list[Watched]"] = []

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.said: list[str] = []
        self.set_trace_callback(lambda text: self.said.append(" ".join(text.upper().split())))
        self.all.append(self)
        self.settings: tuple[int, str] | None = None

    def writes(self) -> bool:
        return any(text.startswith(_WRITES) for text in self.said)

    def close(self) -> None:
        wrote = self.writes()
        (synchronous,) = self.execute("PRAGMA synchronous").fetchone()
        (mode,) = self.execute("PRAGMA journal_mode").fetchone()
        self.settings = (synchronous, mode) if wrote else None
        super().close()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[Watched]:
    """Every connection that is opened from here on."""
    connect = sqlite3.connect
    monkeypatch.setattr(Watched, "all", [])
    monkeypatch.setattr(
        sqlite3, "connect", lambda *args, **options: connect(*args, **{**options, "factory": Watched})
    )
    return Watched.all


async def test_row17_each_connection_of_the_log_that_writes_is_in_wal_mode_and_synchronous_full(
    tmp_path: Path, watched: list[Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Making the log, upgrading its format, appending, committing positions, checkpoints."""
    monkeypatch.setattr("funcledger_event_log.sqlite.checkpoints.EVERY_BYTES", 1000)
    for _ in range(2):
        log = await SqliteLog.open(tmp_path / "log")
        await log.create_topic("tasks", 1)
        for _ in range(5):
            await log.append([new(bytes(5000))])
        await log.append([new(bytes(LARGE + 1))])
        await log.commit("somebody", at(), 1)
        await collect(log, {at(): 0}, 6)
        await log.close()
        older = sqlite3.connect(tmp_path / "log" / "log.db")
        older.execute("PRAGMA user_version = 1")
        older.close()
        watched.remove(older)  # type: ignore[arg-type]  # it is ours
    writers = [each for each in watched if each.settings is not None]
    assert {each.settings for each in writers} == {(FULL, "wal")}
    assert any(f"PRAGMA USER_VERSION = {FORMAT}" in each.said for each in writers), (
        "the upgrade was among them"
    )
    assert any(text.startswith("INSERT INTO CHUNKS") for each in writers for text in each.said)
    assert any(text.startswith("PRAGMA WAL_CHECKPOINT") for each in watched for text in each.said)


async def test_row17_large_values_are_synced_before_the_commit_and_the_answer_comes_after_it(
    tmp_path: Path, watched: list[Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    sync = os.fdatasync

    def noting(file: int) -> None:
        sync(file)
        order.append("values synced")

    monkeypatch.setattr(os, "fdatasync", noting)
    log = await SqliteLog.open(tmp_path / "log")
    await log.create_topic("tasks", 1)
    writer = next(each for each in watched if "PRAGMA SYNCHRONOUS = FULL" in each.said)
    writer.set_trace_callback(lambda text: order.append("committed") if text == "COMMIT" else None)
    await log.append([new(bytes(LARGE + 1))])
    order.append("answered")
    await log.close()
    assert order[:3] == ["values synced", "committed", "answered"]
