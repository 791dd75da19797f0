"""The port ``ReadModelStore``: documents by key, written together with the positions they reflect."""

from collections.abc import Collection, Mapping
from typing import Protocol, TypeVar

from funcledger_read_models.documents import Document, Key, Model

#: Per (topic, partition), the offset after the last record applied.
Positions = Mapping[tuple[str, int], int]
#: Documents by model and key.
Documents = Mapping[Model, Mapping[Key, Document]]
D = TypeVar("D", bound=Document)


class StoreError(Exception):
    """Root of what a store raises."""


class StoreUnavailable(StoreError):
    """Raised when the store cannot be reached just now; try again later."""


class ReadModelStore(Protocol):
    """Keeps every read model of a deployment.

    Laws an adapter keeps, each a test of the contract suite:

    - A saved document comes back equal, whatever its values.
    - :meth:`save` never leaves a position saved whose documents are not: after a crash at any point,
      applying again from :meth:`positions` gives the same documents as never having crashed. An
      adapter with transactions writes documents and positions in one; another one writes the models one
      after another as they are given, and positions last.
    - A save from positions older than the stored ones is refused whole (a projector that lost its
      partition cannot overwrite its successor): :meth:`save` then raises ``StaleWriter``.
    - What a reader sees of one document is one saved state of it, never a mixture.
    """

    async def load(self, wanted: Mapping[Model, Collection[Key]]) -> dict[Model, dict[Key, Document]]:
        """The documents that exist among those wanted, in one round trip per model."""
        ...

    async def save(self, documents: Documents, positions: Positions, before: Positions) -> None:
        """Write documents and move positions from ``before`` to ``positions``, for the partitions named.

        Raises:
            StaleWriter: a stored position is beyond ``before``; nothing was written.
            StoreUnavailable: try again later.
        """
        ...

    async def positions(self) -> dict[tuple[str, int], int]:
        """How far the read models reflect each partition."""
        ...

    async def wait_change(self, timeout: float) -> None:
        """Return once something was saved since the call, or after ``timeout`` seconds at the latest."""
        ...

    async def get(self, model: Model, key: Key) -> Document | None:
        """One document, None when there is none."""
        ...

    async def find(
        self,
        model: Model,
        prefix: Key = (),
        where: Mapping[str, str | bool | Collection[str]] | None = None,
        *,
        after: Key | None = None,
        limit: int = 100,
        descending: bool = False,
    ) -> list[Document]:
        """Documents whose key begins with ``prefix`` and whose filter fields equal, or are among, ``where``.

        In key order (or its reverse); ``after`` is the key of the last document of the page before.

        Raises:
            ValueError: a field that is not among the model's filters.
        """
        ...

    async def due(self, model: Model, before: int, limit: int) -> list[Document]:
        """Documents whose ``due`` field is at or before this time, earliest first."""
        ...

    async def close(self) -> None:
        """Let go of the store."""
        ...


class StaleWriter(StoreError):
    """Raised when another writer has moved on; this one must load positions afresh."""
