"""What the embedded log knows of each partition beside its newest records."""

from funcledger_event_log.recent import Newest
from funcledger_event_log.records import TopicPartition


class Partition(Newest):
    """A partition with its number in the database, and its end as the writer counts it."""

    __slots__ = ("id", "next")

    def __init__(self, where: TopicPartition, partition_id: int, end: int) -> None:
        super().__init__(where, end)
        self.id = partition_id
        #: Offset of the next record; moved by the writer's thread alone, when its commit has succeeded.
        self.next = end
