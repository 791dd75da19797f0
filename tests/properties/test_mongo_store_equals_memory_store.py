"""Whatever is done to them, the store in MongoDB and the one in memory give the same answers."""

import pytest
from hypothesis import settings
from tests.support.same_store import SameStore
from tests.support.stores import Guarded, dropped, mongo_address

from funcledger_read_models.mongo import MongoStore
from funcledger_read_models.port import ReadModelStore
from funcledger_schemas.ids import new_id


class SameAsMongo(SameStore):
    """In a database of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.database = new_id()

    async def opened(self) -> MongoStore:
        return await MongoStore.open(mongo_address(), self.database, Guarded())

    async def removed(self, store: ReadModelStore) -> None:
        assert isinstance(store, MongoStore)
        await dropped(store)


SameAsMongo.TestCase.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
TestSameStore = pytest.mark.distributed(SameAsMongo.TestCase)
