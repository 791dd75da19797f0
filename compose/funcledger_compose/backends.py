"""The log and the read models that settings name, opened; adapters are chosen here and nowhere else."""

from contextlib import AsyncExitStack
from pathlib import Path

from funcledger_compose.data_dir import DataDirError, in_use
from funcledger_compose.main import require
from funcledger_compose.measured import MeasuredLog, MeasuredStore
from funcledger_compose.on_kafka import kafka_log, kafka_settings
from funcledger_compose.projecting.process import ProjectorProcess
from funcledger_compose.read_models_file import open_read_models
from funcledger_compose.roles import Projecting
from funcledger_compose.settings import Settings, SettingsError
from funcledger_event_log.assignment import Assignment, Everything
from funcledger_event_log.port import EventLog
from funcledger_event_log.sqlite import LogCorrupt, LogInUse, SqliteLog
from funcledger_projectors.runner import Projector
from funcledger_read_models.port import ReadModelStore, StoreError, StoreUnavailable
from funcledger_read_models.sqlite import SqliteStore


class Backends:
    """Opens what a process needs; ``stack`` closes it."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._stack = stack
        self._log: EventLog
        self._store: ReadModelStore

    async def log(self, folder: Path, gather: float = 0.0) -> EventLog:
        """The log; ``folder`` is where an embedded one is, ``gather`` goes to the settings of one on Kafka.

        Raises:
            DataDirError: the embedded log cannot be opened.
            SettingsError: an external schema registry refuses our schemas, or cannot be reached.
        """
        kafka = self._settings.log == "kafka"
        log = await (kafka_log(self._settings, gather) if kafka else _embedded(folder))
        self._stack.push_async_callback(log.close)
        self._log = log
        return log

    async def store(self, file: Path) -> ReadModelStore:
        """The read models of the log opened before; ``file`` is where embedded ones are.

        Raises:
            StoreUnavailable: the database cannot be reached now.
            SettingsError: it is not one of ours.
        """
        mongo = self._settings.read_models == "mongo"
        store = await (_mongo(self._settings) if mongo else open_read_models(file, self._log))
        self._stack.push_async_callback(store.close)
        self._store = store
        return store

    def projector(self, log: MeasuredLog, store: MeasuredStore) -> Projecting:
        """What keeps the read models opened before; ``log`` and ``store`` are the same, measured.

        Where both are embedded it has a process of its own, so that it takes the interpreter from nobody.
        """
        if isinstance(self._log, SqliteLog) and isinstance(self._store, SqliteStore):
            return ProjectorProcess(self._log, self._store, self._settings, log, store.observe)
        return Projector(log, store, assignment=self._assignment())

    def _assignment(self) -> Assignment:
        """How this process shares partitions with others: on Kafka by a group, else it is alone."""
        if self._settings.log != "kafka":
            return Everything()
        from funcledger_event_log.kafka.group import Group

        return Group(kafka_settings(self._settings), "projectors")


async def _embedded(folder: Path) -> EventLog:
    try:
        return await SqliteLog.open(folder)
    except LogInUse as error:
        raise DataDirError(in_use(error)) from error
    except LogCorrupt as error:
        raise DataDirError(str(error)) from error


async def _mongo(settings: Settings) -> ReadModelStore:
    require("mongo", "read models in MongoDB")
    from funcledger_read_models.mongo import MongoStore

    try:
        return await MongoStore.open(settings.mongo_uri.reveal(), settings.mongo_database)
    except StoreUnavailable:
        raise
    except StoreError as error:
        raise SettingsError(str(error)) from error
