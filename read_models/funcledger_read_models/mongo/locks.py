"""A lock that clients of a server without guarded writes take turns by: the document only one can insert."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from bson import ObjectId
from pymongo.errors import DuplicateKeyError, PyMongoError

#: The collection of locks.
LOCKS = "locks"
#: Seconds after which a lock that has not changed hands is its dead holder's.
STALE = 5.0
_PAUSE = 0.003


@asynccontextmanager
async def locked(collection: Any, name: str) -> AsyncGenerator[None]:
    """Hold the lock of this name; raises what the driver raises."""
    holder = ObjectId()
    await _take(collection, name, holder)
    try:
        yield
    finally:
        await asyncio.shield(asyncio.ensure_future(_give_back(collection, name, holder)))


async def _take(collection: Any, name: str, holder: ObjectId) -> None:
    seen, since = None, time.monotonic()
    while True:
        try:
            await collection.insert_one({"_id": name, "holder": holder})
            return
        except DuplicateKeyError:
            found = await collection.find_one({"_id": name})
        other = found and found["holder"]
        if other != seen:
            seen, since = other, time.monotonic()
        elif other is not None and time.monotonic() - since > STALE:
            await _give_back(collection, name, other)
        await asyncio.sleep(_PAUSE)


async def _give_back(collection: Any, name: str, holder: ObjectId) -> None:
    try:
        await collection.delete_one({"_id": name, "holder": holder})
    except PyMongoError:
        return  # the server is away; whoever comes next finds it stale
