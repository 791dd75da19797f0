"""Law 11: what cannot be decoded is kept, once per position and consumer, and the consumer goes on."""

import hashlib
from typing import Any

from tests.support.folding import append, caught_up, log_with, projecting
from tests.support.teller import Teller

from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.port import OutcomeUnknown
from funcledger_event_log.records import NewRecord, Position, Record, TopicPartition
from funcledger_projectors.dead_letters import DeadLetters
from funcledger_projectors.reading import Poison
from funcledger_read_models.documents import TASK_STATUS
from funcledger_read_models.memory import MemoryStore
from funcledger_schemas.events import RecordDeadLettered


def letters(log: MemoryLog) -> list[Any]:
    """What stands in dead_letters."""
    return [each.event() for each in log.take(TopicPartition("dead_letters", 0), 0, 1000, 1 << 30)]


def unreadable(offset: int, value: bytes = b"\x00noise") -> Record:
    return Record("results", 0, offset, 0, b"?", (), value)


async def test_law_11_an_unreadable_record_is_kept_with_position_reason_digest_and_head() -> None:
    teller = Teller()
    teller.submit(0, 0)
    log, store = await log_with(teller.records), MemoryStore()
    value = b"\x00\x01 not an event " * 200
    await log.append([NewRecord("tasks", 0, b"?", (("x", b"\xff"),), value)])
    teller.submit(0, 1)
    await append(log, teller.records[-1:])
    async with projecting(log, store) as projector:
        await caught_up(projector)
    (letter,) = letters(log)
    assert isinstance(letter, RecordDeadLettered)
    assert (letter.consumer, letter.topic, letter.partition, letter.offset) == ("projectors", "tasks", 0, 1)
    assert "names no schema" in letter.reason
    assert (letter.size, letter.sha256) == (len(value), hashlib.sha256(value).hexdigest())
    assert letter.head == value[:1024]
    assert len(await store.find(TASK_STATUS)) == 2


async def test_law_11_once_per_position_and_consumer() -> None:
    log = await log_with()
    poison = [Poison(unreadable(offset), "why") for offset in (3, 5)]
    await DeadLetters(log, "projectors").keep(poison[:1])
    again = DeadLetters(log, "projectors")
    for _ in range(2):
        await again.keep(poison)
    await DeadLetters(log, "another").keep(poison[:1])
    # What cannot be read in dead_letters itself stops nobody.
    await log.append([NewRecord("dead_letters", 0, b"?", (), b"noise")])
    await DeadLetters(log, "projectors").keep(poison)
    kept = log.take(TopicPartition("dead_letters", 0), 0, 3, 1 << 30)
    events: list[Any] = [each.event() for each in kept]
    assert [(each.consumer, each.offset) for each in events] == [
        ("projectors", 3),
        ("projectors", 5),
        ("another", 3),
    ]
    assert (await log.ends("dead_letters"))[0] == 4


class UncertainLog(MemoryLog):
    """A log whose first append takes effect, but says that nobody knows."""

    uncertain = True

    async def append(self, records: Any) -> list[Position]:
        positions = await super().append(records)
        if self.uncertain and records[0].topic == "dead_letters":
            self.uncertain = False
            raise OutcomeUnknown("no answer came")
        return positions


async def test_law_11_an_append_of_unknown_outcome_is_looked_up_before_it_is_tried_again() -> None:
    log, store = UncertainLog(), MemoryStore()
    await log_with([unreadable(0)], log)
    async with projecting(log, store) as projector:
        await caught_up(projector)
    assert not log.uncertain
    assert len(letters(log)) == 1
