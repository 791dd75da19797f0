"""What stands in the database: a collection for each model, its indexes, and one document about them all.

That one document, the *state*, holds the format, every position and the id of the last save, so that
positions move together and one small read tells whether anything happened.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from pymongo.errors import CollectionInvalid, DuplicateKeyError, OperationFailure

from funcledger_read_models.documents import BATCH_RESULTS, MODELS, Model
from funcledger_read_models.mongo.client import Database, translated
from funcledger_read_models.mongo.servers import Server
from funcledger_read_models.port import StoreError

#: Raised whenever documents or collections change shape.
FORMAT = 3
STATE = "read_models"
#: The state document, in a format that is ours.
STATE_FILTER = {"_id": STATE, "format": FORMAT}
_CONFLICTS = (85, 86)
_EXISTS = 48


class UnusableDatabase(StoreError):
    """Raised when a database cannot be used as read models; the message says what to do."""


async def prepare(database: Database, server: Server) -> None:
    """Lay out an empty database, or check that this one is in our format and add indexes that it lacks.

    Raises:
        UnusableDatabase: it is somebody else's, or another version's.
        StoreUnavailable: try again later.
    """
    with translated(database.name):
        # Looked at before the state: whoever lays it out meanwhile begins with that, and is no stranger.
        present = await database.collections()
        await _check_state(database, present)
        await asyncio.gather(*[_lay_out(database, server, model, present) for model in MODELS])


async def _check_state(database: Database, present: set[str]) -> None:
    states = database[STATE]
    state = await states.find_one({"_id": STATE})
    if state is None:
        if strangers := present - {STATE}:
            raise UnusableDatabase(
                f"the database {database.name} holds something else ({min(strangers)}); name another one"
            )
        try:
            await states.insert_one({**STATE_FILTER, "save": None, "positions": {}})
        except DuplicateKeyError:
            state = await states.find_one({"_id": STATE})
    if state is not None and state.get("format") != FORMAT:
        raise UnusableDatabase(
            f"the database {database.name} has format {state.get('format')}, this version reads format"
            f" {FORMAT}. Drop it, or name another one: it is rebuilt from the log"
        )


async def _lay_out(database: Database, server: Server, model: Model, present: set[str]) -> None:
    collection = database[model.name]
    if model.name not in present:
        try:
            await collection.database.create_collection(model.name)
        except CollectionInvalid:
            pass  # another process is laying it out, too
        except OperationFailure as error:
            if error.code != _EXISTS:
                raise
    for name, (fields, options) in indexes(model, server).items():
        try:
            await collection.create_index(fields, name=name, **options)
        except OperationFailure as error:
            if error.code not in _CONFLICTS:
                raise
            raise UnusableDatabase(
                f"{model.name} in the database {database.name} has another index named {name};"
                " drop that index, and start again"
            ) from error


def indexes(model: Model, server: Server) -> dict[str, tuple[list[tuple[str, int]], dict[str, Any]]]:
    """Per name the fields and options of the model's indexes; ``_id`` serves every prefix of the key."""
    # One batch is few enough to be filtered while it is read.
    names = () if model is BATCH_RESULTS else model.filters
    found: dict[str, tuple[list[tuple[str, int]], dict[str, Any]]] = {
        f"by_{name}": ([(name, 1), ("_id", 1)], {}) for name in names if name != model.key[0]
    }
    if model.due:
        there = {"partialFilterExpression": {model.due: {"$exists": True}}}
        found["due"] = ([(model.due, 1), ("_id", 1)], there if server.partial_indexes else {})
    return found


def field_of(where: tuple[str, int]) -> str:
    """The name under which a position stands; dots in names would be paths."""
    topic, partition = where
    return f"{topic.replace('%', '%25').replace('.', '%2E').replace('$', '%24')}:{partition}"


def positions_of(state: Mapping[str, Any]) -> dict[tuple[str, int], int]:
    """The positions in a state document."""
    found = {}
    for name, offset in state["positions"].items():
        topic, _, partition = name.rpartition(":")
        found[topic.replace("%24", "$").replace("%2E", ".").replace("%25", "%"), int(partition)] = offset
    return found
