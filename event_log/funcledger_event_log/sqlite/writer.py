"""The one thread that writes: it takes all requests that have gathered and commits them together."""

import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from funcledger_event_log.port import LogError, LogFull, OutcomeUnknown
from funcledger_event_log.records import Record, TopicPartition
from funcledger_event_log.sqlite.checkpoints import Checkpoints
from funcledger_event_log.sqlite.errors import of_write
from funcledger_event_log.sqlite.partitions import Partition
from funcledger_event_log.sqlite.requests import Group, Request
from funcledger_event_log.sqlite.segment import Segment
from funcledger_event_log.sqlite.transaction import Transaction

_log = logging.getLogger(__name__)

#: A group is closed once over so many bytes, so that neither memory nor waiting grows with a backlog.
GROUP_BYTES = 16 * 1024 * 1024

#: What a group has appended, by partition.
Written = Mapping[Partition, list[Record]]
#: Called in the writer's thread with a group, what it wrote, and why it failed.
Deliver = Callable[[Group, Written, LogError | None], None]


class Writer:
    """Owns the writing connection; everything it does happens in its thread."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        segment: Segment,
        partitions: Mapping[TopicPartition, Partition],
        checkpoints: Checkpoints,
        deliver: Deliver,
    ) -> None:
        self._connection = connection
        self._segment = segment
        self._partitions = partitions
        self._checkpoints = checkpoints
        self._deliver = deliver
        self._requests: queue.SimpleQueue[Sequence[Request[Any]] | None] = queue.SimpleQueue()
        self._closing = False
        self.commits = 0
        #: The error of the last group, None when it was written.
        self.failure: LogError | None = None
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    @property
    def broken(self) -> bool:
        """Whether a commit ended in a way that forbids to go on with this connection."""
        return isinstance(self.failure, OutcomeUnknown)

    def submit(self, requests: Sequence[Request[Any]]) -> None:
        """Have them written with the next group."""
        self._requests.put(requests)

    def close(self) -> None:
        """Write what was submitted, then end the thread."""
        self._requests.put(None)
        self._thread.join()

    def _run(self) -> None:
        while group := self._next_group():
            self._write(group)

    def _next_group(self) -> Group:
        """Whatever has gathered, at least one; empty when it is over."""
        group: Group = []
        size = 0
        while not self._closing and size < GROUP_BYTES:
            try:
                requests = self._requests.get(block=not group)
            except queue.Empty:
                break
            if requests is None:
                self._closing = True
            else:
                group += requests
                size += sum(request.size for request in requests)
        return group

    def _write(self, group: Group) -> None:
        written: Written = {}
        try:
            written = self._commit(group)
            self.failure = None
        except Exception as error:  # whatever it is, those who wait must hear of it
            self.failure = of_write(error)
            _log.error(
                "could not write to the log: %s", self.failure, exc_info=not isinstance(self.failure, LogFull)
            )
        self._deliver(group, written, self.failure)
        if self.failure is None:
            self._checkpoints.committed(sum(request.size for request in group))

    def _commit(self, group: Group) -> Written:
        transaction = Transaction(self._connection, self._segment, self._partitions)
        try:
            for request in group:
                request.write(transaction)
            transaction.commit()
        except Exception as error:
            if not isinstance(of_write(error), OutcomeUnknown):
                transaction.rollback()
            raise
        self.commits += 1
        return transaction.written
