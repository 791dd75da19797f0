"""Whatever is done to them, the store in SQLite and the one in memory give the same answers."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from tests.support.same_store import SameStore

from funcledger_read_models.port import ReadModelStore
from funcledger_read_models.sqlite import SqliteStore


class SameAsSqlite(SameStore):
    """In a folder of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()

    async def opened(self) -> SqliteStore:
        return await SqliteStore.open(Path(self.folder) / "db")

    async def removed(self, store: ReadModelStore) -> None:
        await store.close()
        shutil.rmtree(self.folder)


SameAsSqlite.TestCase.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
TestSameStore = SameAsSqlite.TestCase
