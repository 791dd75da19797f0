"""The store in MongoDB: documents by ``_id``, packed as in every store, beside the fields that find them."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from bson import ObjectId

from funcledger_read_models.checks import Where
from funcledger_read_models.documents import Document, Key, Model
from funcledger_read_models.mongo import queries
from funcledger_read_models.mongo.client import Database, translated
from funcledger_read_models.mongo.keys import identity
from funcledger_read_models.mongo.layout import STATE, STATE_FILTER, UnusableDatabase, positions_of, prepare
from funcledger_read_models.mongo.revisions import Revisions
from funcledger_read_models.mongo.servers import Raw, Server, server_of
from funcledger_read_models.mongo.watch import Watch
from funcledger_read_models.mongo.writer import Writer, packed
from funcledger_read_models.packing import unpacker
from funcledger_read_models.port import Documents, Positions, StoreUnavailable

T = TypeVar("T")
#: More documents than these are packed and unpacked beside the event loop.
INLINE_DOCUMENTS = 200
_PACKED = {"document": 1}


class MongoStore:
    """A ``ReadModelStore`` in one database of a server; many processes may open it.

    A document that was loaded through this object is saved through it only if nobody else has saved it
    since; the error is StaleWriter, and whoever gets it loads positions and documents afresh.
    """

    def __init__(self, database: Database, server: Server) -> None:
        #: What it stands in.
        self.database = database
        self._server = server
        self._revisions = Revisions()
        self._writer = Writer(database, server, self._revisions)
        self._saving = asyncio.Lock()
        self._watch = Watch(self._last_save, None)
        self._closed = False

    @classmethod
    async def open(cls, address: str, name: str = "funcledger", server: Server | None = None) -> "MongoStore":
        """Open the database ``name`` of the server at ``address`` (``mongodb://...``), or lay it out.

        Args:
            server: how to talk to it, when that is not to be found out.

        Raises:
            UnusableDatabase: it is not of this program and format; the message says what to do.
            StoreUnavailable: it cannot be reached now.
        """
        database = Database(address, name)
        try:
            server = server or await server_of(database)
            await prepare(database, server)
            store = cls(database, server)
            store._watch.note(await store._last_save())
        except BaseException:
            database.close()
            raise
        return store

    async def load(self, wanted: Mapping[Model, Collection[Key]]) -> dict[Model, dict[Key, Document]]:
        """As the port says."""
        self._check_open()
        with translated(self.database.name):
            found = await asyncio.gather(*[self._load(model, list(keys)) for model, keys in wanted.items()])
        return dict(zip(wanted, found, strict=True))

    async def _load(self, model: Model, keys: Sequence[Key]) -> dict[Key, Document]:
        by_id = {identity(key): key for key in keys}
        raws = await self._server.fetch(self.database[model.name], list(by_id))
        revisions: dict[str, ObjectId | None] = dict.fromkeys(by_id)
        revisions.update((raw["_id"], raw["revision"]) for raw in raws)
        self._revisions.seen(model, revisions)
        documents = await self._unpacked(model, raws)
        return {by_id[raw["_id"]]: document for raw, document in zip(raws, documents, strict=True)}

    async def save(self, documents: Documents, positions: Positions, before: Positions) -> None:
        """As the port says, but that documents may be written, ahead of positions, before it raises.

        They hold nothing that is not in the log, and saving again from :meth:`positions` puts all right.
        """
        self._check_open()
        count = sum(map(len, documents.values()))
        raws = await _compute(count, lambda: packed(documents))
        async with self._saving:
            try:
                with translated(self.database.name):
                    save = await self._writer.save(raws, positions, before)
            except BaseException:
                # What is stored now is unknown, so the next save must not go by what was seen before.
                self._revisions.clear()
                raise
        self._watch.note(save)

    async def positions(self) -> dict[tuple[str, int], int]:
        """As the port says."""
        state = await self._state(None)
        self._watch.note(state["save"])
        return positions_of(state)

    async def wait_change(self, timeout: float) -> None:
        """As the port says; may return early for a save made shortly before the call."""
        self._check_open()
        await self._watch.wait(timeout)

    async def get(self, model: Model, key: Key) -> Document | None:
        """As the port says."""
        self._check_open()
        with translated(self.database.name):
            raw = await self.database[model.name].find_one({"_id": identity(key)}, _PACKED)
        return None if raw is None else unpacker(model)(raw["document"])

    async def find(
        self,
        model: Model,
        prefix: Key = (),
        where: Where | None = None,
        *,
        after: Key | None = None,
        limit: int = 100,
        descending: bool = False,
    ) -> list[Document]:
        """As the port says."""
        asked = queries.page(model, prefix, where or {}, after, descending)
        return await self._query(model, asked, [("_id", -1 if descending else 1)], limit)

    async def due(self, model: Model, before: int, limit: int) -> list[Document]:
        """As the port says."""
        assert model.due is not None
        return await self._query(model, queries.due(model, before), [(model.due, 1), ("_id", 1)], limit)

    async def close(self) -> None:
        """As the port says."""
        if not self._closed:
            self._closed = True
            await self._watch.stop()
            self.database.close()

    async def _query(self, model: Model, asked: Raw, order: list[Any], limit: int) -> list[Document]:
        self._check_open()
        if limit <= 0:  # to MongoDB, no limit at all
            return []
        with translated(self.database.name):
            cursor = self.database[model.name].find(asked, _PACKED).sort(order).limit(limit)
            raws = await cursor.to_list(None)
        return await self._unpacked(model, raws)

    async def _unpacked(self, model: Model, raws: Sequence[Raw]) -> list[Document]:
        unpack = unpacker(model)
        return await _compute(len(raws), lambda: [unpack(raw["document"]) for raw in raws])

    async def _last_save(self) -> ObjectId | None:
        save: ObjectId | None = (await self._state({"save": 1}))["save"]
        return save

    async def _state(self, fields: Raw | None) -> Raw:
        self._check_open()
        with translated(self.database.name):
            state: Raw | None = await self.database[STATE].find_one(STATE_FILTER, fields)
        if state is None:
            raise UnusableDatabase(f"{self.database.name} was dropped or is in another format; start again")
        return state

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(f"the store {self.database.name} is closed")


async def _compute(documents: int, work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work) if documents > INLINE_DOCUMENTS else work()
