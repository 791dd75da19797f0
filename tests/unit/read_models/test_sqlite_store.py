"""What holds of the store in SQLite beyond the port: its file, and who waits for whom."""

import sqlite3
from pathlib import Path

import pytest

from funcledger_read_models.checks import Where
from funcledger_read_models.documents import TASK_STATUS, TaskStatus
from funcledger_read_models.port import StaleWriter, StoreUnavailable
from funcledger_read_models.sqlite import SqliteStore, UnusableFile
from funcledger_read_models.sqlite.queries import page

TASKS = ("tasks", 0)


def task(task_id: str, worker: str | None = None) -> TaskStatus:
    return TaskStatus(owner="o", task_id=task_id, endpoint_id="e", batch_id="b", worker=worker)


async def save(store: SqliteStore, document: TaskStatus, at: int) -> None:
    await store.save({TASK_STATUS: {TASK_STATUS.key_of(document): document}}, {TASKS: at}, {TASKS: at - 1})


async def test_what_was_saved_is_there_after_closing_and_opening_again(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "db")
    await save(store, task("t"), 1)
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable, match="is closed"):
        await store.get(TASK_STATUS, ("o", "t", "e"))
    store = await SqliteStore.open(tmp_path / "db")
    assert await store.get(TASK_STATUS, ("o", "t", "e")) == task("t")
    assert await store.positions() == {TASKS: 1}
    await store.close()


async def test_of_two_writers_of_one_file_the_one_behind_is_refused(tmp_path: Path) -> None:
    ahead, behind = [await SqliteStore.open(tmp_path / "db") for _ in range(2)]
    await save(ahead, task("t"), 1)
    with pytest.raises(StaleWriter):
        await save(behind, task("u"), 1)
    assert await behind.positions() == {TASKS: 1}
    assert await behind.get(TASK_STATUS, ("o", "t", "e")) == task("t")
    await ahead.close()
    await behind.close()


async def test_a_reader_in_the_middle_of_a_read_does_not_block_the_writer(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "db")
    await save(store, task("t"), 1)
    reader = sqlite3.connect(tmp_path / "db", isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM task_status").fetchone() == (1,)
    await save(store, task("u"), 2)
    assert await store.get(TASK_STATUS, ("o", "u", "e")) == task("u")
    assert reader.execute("SELECT count(*) FROM task_status").fetchone() == (1,)
    reader.close()
    await store.close()


@pytest.mark.parametrize("where", [{"status": "received"}, {"status": ["received"]}, {"batch_id": "b"}])
async def test_behind_a_whole_key_there_is_nothing_whatever_is_looked_for(
    tmp_path: Path, where: Where
) -> None:
    """SQLite refuses an index where it sees that a condition can never hold."""
    store = await SqliteStore.open(tmp_path / "db")
    await save(store, task("t"), 1)
    key = ("o", "t", "e")
    assert await store.find(TASK_STATUS, key, where, after=key) == []
    assert await store.find(TASK_STATUS, key, where) == [task("t")]
    await store.close()


async def test_a_full_disk_is_said_and_passes(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "db")
    await save(store, task("t"), 1)
    connection = store._writer._connection
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(StoreUnavailable, match="full"):
        await save(store, task("large", "w" * 100_000), 2)
    assert await store.positions() == {TASKS: 1}
    connection.execute("PRAGMA max_page_count = 1000000")
    await save(store, task("large", "w" * 100_000), 2)
    assert await store.positions() == {TASKS: 2}
    await store.close()


@pytest.mark.parametrize(
    ("tampering", "complaint"),
    [
        ("PRAGMA user_version = 99", "has format 99.*Delete it"),
        ("PRAGMA application_id = 7", "some other program"),
    ],
)
async def test_a_file_of_another_format_or_program_is_refused(
    tmp_path: Path, tampering: str, complaint: str
) -> None:
    await (await SqliteStore.open(tmp_path / "db")).close()
    connection = sqlite3.connect(tmp_path / "db")
    connection.execute(tampering)
    connection.close()
    with pytest.raises(UnusableFile, match=complaint):
        await SqliteStore.open(tmp_path / "db")


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"no database" * 1000)
    with pytest.raises(UnusableFile, match="Delete it"):
        await SqliteStore.open(tmp_path / "db")
    assert (tmp_path / "db").read_bytes() == b"no database" * 1000


async def test_damage_is_refused_at_once_or_where_the_file_is_too_large_for_that_named_when_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await SqliteStore.open(tmp_path / "db")
    for number in range(300):
        await save(store, task(f"t{number}", "w" * 200), number + 1)
    await store.close()
    with (tmp_path / "db").open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 8192 * 8)
    with pytest.raises(UnusableFile, match=r"damaged.*Delete it"):
        await SqliteStore.open(tmp_path / "db")
    monkeypatch.setattr("funcledger_read_models.sqlite.file._CHECKED", 0)
    store = await SqliteStore.open(tmp_path / "db")
    with pytest.raises(UnusableFile, match="damaged"):
        await store.find(TASK_STATUS, limit=1000)
    await store.close()


@pytest.mark.parametrize(
    ("where", "index"),
    [
        ({}, "sqlite_autoindex_task_status_1 (owner=?"),
        ({"status": "failed"}, "task_status_by_status (status=? AND owner=?"),
        ({"status": ["failed", "running"]}, "task_status_by_status (status=? AND owner=?"),
        ({"status": "success"}, "sqlite_autoindex_task_status_1 (owner=?"),
        ({"status": "failed", "batch_id": "b"}, "task_status_by_batch_id (batch_id=? AND owner=?"),
        ({"status": "success", "function_id": "f"}, "task_status_by_function_id (function_id=? AND owner=?"),
        ({"task_id": ["t"], "status": "failed"}, "sqlite_autoindex_task_status_1 (owner=? AND task_id=?"),
    ],
)
def test_a_page_is_looked_for_where_fewest_documents_lead_to_it(
    tmp_path: Path, where: dict[str, str | list[str]], index: str
) -> None:
    """However many tasks an owner has, listing the few of some kind must not walk through all."""
    connection = SqliteStore.writer(tmp_path / "db")._connection
    text, parameters = page(TASK_STATUS, ("ann",), where, None, 100, True)
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", parameters)]
    connection.close()
    assert plan[0].startswith(f"SEARCH task_status USING INDEX {index}")
