"""What the process keeps in memory of each partition."""

from funcledger_event_log.records import Record, TopicPartition


class Partition:
    """A partition's end as readers see it, as the writer counts it, and its newest records."""

    __slots__ = ("end", "id", "next", "tail", "where")

    def __init__(self, where: TopicPartition, partition_id: int, end: int) -> None:
        self.where = where
        self.id = partition_id
        #: Offset after the last record readers may see; moved by the event loop alone.
        self.end = end
        #: Offset of the next record; moved by the writer's thread alone, when its commit has succeeded.
        self.next = end
        #: The newest records by offset, without gaps up to the end.
        self.tail: dict[int, Record] = {}
