"""``funcledger migrate``: an embedded data directory's history goes on in Kafka and MongoDB."""

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import NamedTuple

from funcledger_compose.data_dir import DataDir
from funcledger_compose.main import require
from funcledger_compose.migration import documents
from funcledger_compose.migration.errors import MigrationError
from funcledger_compose.migration.records import Moved, RecordMover
from funcledger_compose.on_kafka import schema_ids, usable_kafka_settings
from funcledger_compose.read_models_file import open_read_models
from funcledger_compose.settings import Settings
from funcledger_event_log.port import EventLog, LogError
from funcledger_event_log.sqlite import DATABASE, LogCorrupt, LogInUse, SqliteLog
from funcledger_projectors.runner import Projector
from funcledger_read_models.port import ReadModelStore, StoreError
from funcledger_web.tokens import digest

_AGAIN = "Nothing here was changed; run the same command again, and it goes on where it stopped"


class Migrated(NamedTuple):
    """What was moved: each partition, consumers' positions, documents by model; and how its user gets in."""

    partitions: Sequence[Moved]
    consumers: int
    documents: Mapping[str, int]
    tokens: str


async def migrate(settings: Settings, partitions: int, owner: str, say: Callable[[str], None]) -> Migrated:
    """Move the data directory of ``settings`` to the cluster and the database that they name.

    Nothing is changed in the directory but that, in the end, it says that it was moved. Interrupted at any
    point, it can be done again. ``owner`` is whom the directory's token speaks for.

    Raises:
        MigrationError: it cannot be done; the message says what to do.
        DataDirError, SettingsError: the directory or a setting cannot be used.
    """
    require("kafka", "a migration")
    require("mongo", "a migration")
    data = DataDir(settings.data_dir)
    if not (data.log / DATABASE).is_file():
        raise MigrationError(f"there is no embedded log in {data.path}. Name one with --data-dir")
    data.open()
    async with AsyncExitStack() as stack:
        try:
            moved = await _migrate(settings, data, partitions, say, stack)
        except LogInUse as error:
            raise MigrationError(f"{error}. A migration needs the server stopped") from error
        except LogCorrupt as error:
            raise MigrationError(str(error)) from error
        except (LogError, StoreError, TimeoutError) as error:
            raise MigrationError(f"{error or 'no answer in time'}. {_AGAIN}") from error
    data.mark_moved(f"topics {settings.kafka_topic_prefix}* at {settings.kafka_bootstrap}")
    return moved._replace(tokens=f"{owner}={digest(data.token())}")


async def _migrate(
    settings: Settings, data: DataDir, partitions: int, say: Callable[[str], None], stack: AsyncExitStack
) -> Migrated:
    from funcledger_event_log.kafka import KafkaLog
    from funcledger_event_log.kafka.importing import Importer
    from funcledger_read_models.mongo import MongoStore

    source = await SqliteLog.open(data.log)
    stack.push_async_callback(source.close)
    known = dataclasses.replace(usable_kafka_settings(settings), schema_ids=await schema_ids(settings))
    target = KafkaLog(known)
    stack.push_async_callback(target.close)
    models = await open_read_models(data.read_models, source)
    stack.push_async_callback(models.close)
    store = await MongoStore.open(settings.mongo_uri.reveal(), settings.mongo_database)
    stack.push_async_callback(store.close)

    say("Bringing the read models up to the end of the log")
    await _catch_up(source, models)
    await documents.check(models, store)
    say("Moving records")
    moved = await RecordMover(source, target, Importer(known), say).move(partitions)
    say("Every record is the same on both sides. Moving positions of endpoints")
    consumers = await _move_consumers(source, target)
    say("Moving read models")
    counts = await documents.move(models, store)
    await documents.compare(models, store)
    return Migrated(moved, consumers, counts, "")


async def _catch_up(log: EventLog, store: ReadModelStore) -> None:
    """A server that was killed may have left some records unfolded."""
    projector = Projector(log, store)
    await projector.start()
    try:
        while await projector.lag():
            if projector.failed is not None:
                raise MigrationError(f"the read models cannot be brought up to date: {projector.failed}")
            await asyncio.sleep(0.05)
    finally:
        await projector.stop()


async def _move_consumers(source: SqliteLog, target: EventLog) -> int:
    found = await source.consumers()
    for consumer, where, kept in found:
        await target.commit(consumer, where, kept.offset, kept.metadata)
        if await target.committed(consumer, where) != kept:
            raise MigrationError(f"the position of {consumer} in {where.topic} was not kept. {_AGAIN}")
    return len(found)
