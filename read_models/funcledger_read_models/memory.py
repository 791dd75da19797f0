"""The store in memory, for tests and throw-away folds: documents cross bytes, as in every other store."""

import bisect
from collections.abc import Collection, Iterator, Mapping
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
        #: The same keys in order, as far as they were asked for.
        self._keys: dict[Model, list[Key]] = {model: [] for model in MODELS}
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
        found: list[Document] = []
        for key in self._from(model, prefix, after, descending):
            if key[: len(prefix)] != prefix or len(found) >= limit:
                break
            document = unpacker(model)(self._packed[model][key])
            if _matches(document, where or {}):
                found.append(document)
        return found

    def _from(self, model: Model, prefix: Key, after: Key | None, descending: bool) -> Iterator[Key]:
        """The keys from a page's first on, those under the prefix before all others."""
        keys = self._keys[model]
        if len(keys) != len(self._packed[model]):
            keys = self._keys[model] = sorted(self._packed[model])
        if descending:
            end = bisect.bisect(keys, prefix, key=lambda key: key[: len(prefix)])
            end = end if after is None else bisect.bisect_left(keys, after)
            return (keys[at] for at in range(end - 1, -1, -1))
        start = bisect.bisect_left(keys, prefix) if after is None else bisect.bisect(keys, after)
        return (keys[at] for at in range(start, len(keys)))

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
