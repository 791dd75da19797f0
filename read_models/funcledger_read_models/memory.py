"""The store in memory, for tests and throw-away folds: documents cross bytes, as in every other store."""

import bisect
from collections.abc import Collection, Mapping
from typing import Any

from funcledger_read_models.changes import Changes
from funcledger_read_models.checks import Where, check_query, check_writer
from funcledger_read_models.documents import MODELS, Document, Key, Model
from funcledger_read_models.packing import pack, unpacker
from funcledger_read_models.port import Documents, Positions


class MemoryStore:
    """A ``ReadModelStore`` of dictionaries."""

    def __init__(self) -> None:
        self._packed: dict[Model, dict[Key, bytes]] = {model: {} for model in MODELS}
        self._positions: dict[tuple[str, int], int] = {}
        self._changes = Changes()

    async def load(self, wanted: Mapping[Model, Collection[Key]]) -> dict[Model, dict[Key, Document]]:
        """As the port says."""
        return {
            model: {
                key: unpacker(model)(self._packed[model][key]) for key in keys if key in self._packed[model]
            }
            for model, keys in wanted.items()
        }

    async def save(self, documents: Documents, positions: Positions, before: Positions) -> None:
        """As the port says."""
        check_writer(self._positions, before, positions)
        packed = {model: {key: pack(doc) for key, doc in docs.items()} for model, docs in documents.items()}
        for model, items in packed.items():
            self._packed[model].update(items)
        self._positions.update(positions)
        self._changes.happened()

    async def positions(self) -> dict[tuple[str, int], int]:
        """As the port says."""
        return dict(self._positions)

    async def wait_change(self, timeout: float) -> None:
        """As the port says."""
        await self._changes.wait(timeout)

    async def get(self, model: Model, key: Key) -> Document | None:
        """As the port says."""
        packed = self._packed[model].get(key)
        return None if packed is None else unpacker(model)(packed)

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
        check_query(model, prefix, where or {}, after)
        keys = sorted(key for key in self._packed[model] if key[: len(prefix)] == prefix)
        if after is not None:
            keys = (
                keys[: bisect.bisect_left(keys, after)] if descending else keys[bisect.bisect(keys, after) :]
            )
        found: list[Document] = []
        for key in reversed(keys) if descending else keys:
            document = unpacker(model)(self._packed[model][key])
            if len(found) < limit and _matches(document, where or {}):
                found.append(document)
        return found

    async def due(self, model: Model, before: int, limit: int) -> list[Document]:
        """As the port says."""
        assert model.due is not None
        due = []
        for key, packed in self._packed[model].items():
            document = unpacker(model)(packed)
            if (at := getattr(document, model.due)) is not None and at <= before:
                due.append((at, key, document))
        return [document for _, _, document in sorted(due, key=lambda item: item[:2])[:limit]]

    async def close(self) -> None:
        """As the port says."""


def _matches(document: Document, where: Where) -> bool:
    return all(_one_of(getattr(document, name), wanted) for name, wanted in where.items())


def _one_of(value: Any, wanted: str | bool | Collection[str]) -> bool:
    return bool(value == wanted if isinstance(wanted, str | bool) else value in wanted)
