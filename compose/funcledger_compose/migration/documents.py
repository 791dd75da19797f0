"""Moves the read models: the same documents, and with them the same positions."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from funcledger_compose.migration.errors import MigrationError
from funcledger_read_models.documents import MODELS, Document, Model
from funcledger_read_models.port import ReadModelStore

#: Documents in one read or write.
_PAGE = 500


async def check(source: ReadModelStore, target: ReadModelStore) -> None:
    """See that the target is empty, or what a migration of this source left there.

    Raises:
        MigrationError: it has read something else.
    """
    positions, found = await source.positions(), await target.positions()
    if any(offset > positions.get(where, 0) for where, offset in found.items()):
        raise MigrationError(
            "the database holds read models of another log, or of one that has gone on. Name an empty one: "
            "FUNCLEDGER_MONGO_DATABASE"
        )


async def move(source: ReadModelStore, target: ReadModelStore) -> dict[str, int]:
    """Copy every document, then the positions; how many there are of each model. Doing it again is harmless.

    Raises:
        StoreError: try again.
    """
    counts = {}
    for model in MODELS:
        counts[model.name] = 0
        async with aclosing(_pages(source, model)) as pages:
            async for page in pages:
                counts[model.name] += len(page)
                await _write(target, model, page)
    await target.save({}, await source.positions(), await target.positions())
    return counts


async def compare(source: ReadModelStore, target: ReadModelStore) -> None:
    """Read both, document by document.

    Raises:
        MigrationError: they differ.
    """
    for model in MODELS:
        async with aclosing(_pages(source, model)) as ours, aclosing(_pages(target, model)) as theirs:
            async for page in ours:
                if page != await anext(theirs, None):
                    raise MigrationError(f"{model.name} holds something else in the database than here")
            if await anext(theirs, None) is not None:
                raise MigrationError(f"{model.name} holds more in the database than here")
    if await source.positions() != await target.positions():
        raise MigrationError("the database has other positions than the read models here")


async def _write(target: ReadModelStore, model: Model, page: list[Document]) -> None:
    ours = {model.key_of(document): document for document in page}
    theirs = (await target.load({model: list(ours)})).get(model, {})
    changed = {key: document for key, document in ours.items() if theirs.get(key) != document}
    if changed:
        await target.save({model: changed}, {}, {})


async def _pages(store: ReadModelStore, model: Model) -> AsyncGenerator[list[Document]]:
    last = None
    while page := await store.find(model, after=last, limit=_PAGE):
        yield page
        last = model.key_of(page[-1])
