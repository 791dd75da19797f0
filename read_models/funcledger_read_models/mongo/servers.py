"""How documents are fetched and written in bulk: on MongoDB, and on FerretDB, which stands in for it."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from bson import ObjectId
from pymongo import InsertOne, ReplaceOne

from funcledger_read_models.mongo.client import Database, translated
from funcledger_read_models.mongo.locks import LOCKS, locked
from funcledger_read_models.port import StaleWriter

Raw = dict[str, Any]
#: Ids in one query: far from the 16 MiB that a query may be long.
_IDS = 10_000


@dataclass(slots=True)
class Changes:
    """What is to be written to one collection: new documents, and documents in place of a revision."""

    new: list[Raw] = field(default_factory=list)
    changed: list[tuple[ObjectId, Raw]] = field(default_factory=list)


class Server(Protocol):
    """What differs between servers."""

    #: Whether an index may leave out documents by a condition.
    partial_indexes: bool

    def alone(self, database: Database) -> AbstractAsyncContextManager[None]:
        """A save in the block is not mixed up with another client's; nothing where its guards suffice."""
        ...

    async def fetch(self, collection: Any, ids: Sequence[str], fields: Raw | None = None) -> list[Raw]:
        """Those documents that exist; raises what the driver raises."""
        ...

    async def write(self, collection: Any, changes: Changes) -> None:
        """Write what is new and what has not been changed meanwhile, in no order.

        Raises:
            StaleWriter: another writer has added or changed some of it; the rest may be written.
        """
        ...


class Mongo:
    """The real one: each document is compared and replaced in one step of its own."""

    partial_indexes = True

    def alone(self, _database: Database) -> AbstractAsyncContextManager[None]:
        """As the protocol says: each guard is one step of the server's."""
        return contextlib.nullcontext()

    async def fetch(self, collection: Any, ids: Sequence[str], fields: Raw | None = None) -> list[Raw]:
        """As the protocol says."""
        found: list[Raw] = []
        for at in range(0, len(ids), _IDS):
            piece = list(ids[at : at + _IDS])
            found += await collection.find({"_id": {"$in": piece}}, fields).to_list(None)
        return found

    async def write(self, collection: Any, changes: Changes) -> None:
        """As the protocol says, in one unordered bulk."""
        requests: list[Any] = [InsertOne(raw) for raw in changes.new]
        requests += [
            ReplaceOne({"_id": raw["_id"], "revision": revision}, raw) for revision, raw in changes.changed
        ]
        if requests:
            done = await collection.bulk_write(requests, ordered=False)
            _all_matched(collection, done.matched_count, changes)


class Ferret(Mongo):
    """FerretDB 1.24 on SQLite, for tests and trials; it never replaces a document in one step anyway.

    It finds documents fast by ``_id`` alone; any further condition reads the whole collection. And a
    command holds a connection for each of its updates, of a hundred that all commands share.
    """

    partial_indexes = False
    #: Updates in a command.
    _SLICE = 16
    #: Documents asked for by themselves at a time: when one fails the others are still being looked for.
    _TOGETHER = 100
    #: Seconds that a document takes which is fetched by itself.
    _SINGLE = 0.0006
    #: Seconds that it takes to read a whole collection, as long as that is not known.
    _AT_FIRST = 0.15

    def __init__(self) -> None:
        #: By collection, seconds that it took to read the whole of it.
        self._whole: dict[str, float] = {}

    def alone(self, database: Database) -> AbstractAsyncContextManager[None]:
        """As the protocol says, by a document that only one client can insert."""
        return locked(database[LOCKS], "save")

    async def fetch(self, collection: Any, ids: Sequence[str], fields: Raw | None = None) -> list[Raw]:
        """As the protocol says: each by itself or by reading the whole collection, whatever is less work."""
        name = collection.name
        if len(ids) * self._SINGLE > self._whole.get(name, self._AT_FIRST):
            began = time.monotonic()
            try:
                return await super().fetch(collection, ids, fields)
            finally:  # also when it took too long
                self._whole[name] = time.monotonic() - began
        raws: list[Raw | None] = []
        for at in range(0, len(ids), self._TOGETHER):
            piece = ids[at : at + self._TOGETHER]
            raws += await asyncio.gather(*[collection.find_one({"_id": each}, fields) for each in piece])
        return [raw for raw in raws if raw is not None]

    async def write(self, collection: Any, changes: Changes) -> None:
        """As the protocol says, but looks at revisions first, and replaces then."""
        ids = [raw["_id"] for _, raw in changes.changed]
        stored = {raw["_id"]: raw["revision"] for raw in await self.fetch(collection, ids, {"revision": 1})}
        current = sum(stored.get(raw["_id"]) == revision for revision, raw in changes.changed)
        _all_matched(collection, current, changes)
        if changes.new:
            await collection.bulk_write([InsertOne(raw) for raw in changes.new], ordered=False)
        for at in range(0, len(ids), self._SLICE):
            piece = changes.changed[at : at + self._SLICE]
            await collection.bulk_write(
                [ReplaceOne({"_id": raw["_id"]}, raw) for _, raw in piece], ordered=False
            )


async def server_of(database: Database) -> Server:
    """What the database is served by."""
    with translated(database.name):
        information = await database.command("buildInfo")
    return Ferret() if "ferretdbVersion" in information else Mongo()


def _all_matched(collection: Any, matched: int, changes: Changes) -> None:
    if matched < len(changes.changed):
        raise StaleWriter(
            f"{len(changes.changed) - matched} documents of {collection.name} were changed"
            " by another writer since this one read them"
        )
