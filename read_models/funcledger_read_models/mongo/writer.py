"""The writing side: documents first, each only in place of the revision it was folded from, then positions.

There are no transactions. Why the contract holds without them:

1. *Crash after some documents.* Positions have not moved. Applying again folds the same records into
   documents of which some hold them already, and every fold passes over what it has seen (law 3).
2. *A writer that has lost its partition.* It is refused by the positions before it writes anything. If
   its successor moves on after that look, every document the successor has written has another revision,
   so the late write does not match and nothing of the successor's is lost. A late write that does match
   is of a document the successor has not written yet: it was folded from what is stored, it is correct,
   only ahead of the positions, as after a crash. The successor's own write of it then does not match;
   it reads again and folds again, as in 1.
3. *Two living writers with a document in common* (an endpoint's has parts from three topics): the same.
   Offsets in each document would not do here: each writer's are the newest for its own partitions.
4. *Positions* of a save move in one update of one document, only if none of them is beyond ``before``.
"""

from bson import ObjectId

from funcledger_read_models.checks import check_writer
from funcledger_read_models.documents import Document, Key, Model
from funcledger_read_models.mongo.client import Database
from funcledger_read_models.mongo.keys import identity
from funcledger_read_models.mongo.layout import STATE, STATE_FILTER, UnusableDatabase, field_of, positions_of
from funcledger_read_models.mongo.revisions import Revisions
from funcledger_read_models.mongo.servers import Changes, Raw, Server
from funcledger_read_models.packing import pack
from funcledger_read_models.port import Documents, Positions

Packed = dict[Model, list[Raw]]


def packed(documents: Documents) -> Packed:
    """The documents as they are stored, but for their revision; raises what cannot be encoded."""
    return {
        model: [_raw(model, key, document) for key, document in by_key.items()]
        for model, by_key in documents.items()
        if by_key
    }


def _raw(model: Model, key: Key, document: Document) -> Raw:
    raw: Raw = {"_id": identity(key)}
    raw.update((name, getattr(document, name)) for name in model.filters)
    # Left out when there is none, so that the index of what is due holds nothing else.
    if model.due and (due := getattr(document, model.due)) is not None:
        raw[model.due] = due
    raw["document"] = pack(document)
    return raw


class Writer:
    """Saves, one at a time; raises what the driver raises, and StaleWriter."""

    def __init__(self, database: Database, server: Server, revisions: Revisions) -> None:
        self._database = database
        self._server = server
        self._revisions = revisions

    async def save(self, documents: Packed, positions: Positions, before: Positions) -> ObjectId:
        """Write all of it, or part of the documents and no position; the id of the save."""
        async with self._server.alone(self._database):
            return await self._save(documents, positions, before)

    async def _save(self, documents: Packed, positions: Positions, before: Positions) -> ObjectId:
        await self._check(positions, before)
        save = ObjectId()
        for model, raws in documents.items():
            await self._write(model, raws, save)
        await self._move(positions, before, save)
        return save

    async def _check(self, positions: Positions, before: Positions) -> None:
        state = await self._database[STATE].find_one(STATE_FILTER)
        if state is None:
            raise UnusableDatabase(f"{self._database.name} was dropped or is in another format; start again")
        check_writer(positions_of(state), before, positions)

    async def _write(self, model: Model, raws: list[Raw], save: ObjectId) -> None:
        collection = self._database[model.name]
        ids = [raw["_id"] for raw in raws]
        known, unseen = self._revisions.look_up(model, ids)
        # Whoever saves what it never read wants it there whatever was.
        found = await self._server.fetch(collection, unseen, {"revision": 1})
        known.update((raw["_id"], raw["revision"]) for raw in found)
        changes = Changes()
        for raw in raws:
            raw["revision"] = save
            revision = known.get(raw["_id"])
            if revision is None:
                changes.new.append(raw)
            else:
                changes.changed.append((revision, raw))
        await self._server.write(collection, changes)
        self._revisions.written(model, ids, save)

    async def _move(self, positions: Positions, before: Positions, save: ObjectId) -> None:
        expected: Raw = dict(STATE_FILTER)
        moved: Raw = {"save": save}
        for where, end in positions.items():
            name = f"positions.{field_of(where)}"
            # Not "at most": a position that is not there yet is as good as 0.
            expected[name] = {"$not": {"$gt": before.get(where, 0)}}
            moved[name] = end
        done = await self._database[STATE].update_one(expected, {"$set": moved})
        if not done.matched_count:
            await self._check(positions, before)
            raise UnusableDatabase(f"positions in {self._database.name} went back while they were written")
