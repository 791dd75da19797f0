"""What every event carries; the fields' meaning is documented in the .avsc files."""

import msgspec


class Event(msgspec.Struct, frozen=True, gc=False):
    """A fact that has happened. Never rewritten.

    Name the fields when making one. Only the codec and an agent's facts go by their order, which takes less
    than half the time; tests hold both to the names.
    """

    event_id: str
    occurred_at: int
    actor: str


class TaskEvent(Event, frozen=True, gc=False):
    """A fact about one task; (endpoint_id, owner, task_id) is the task's key in every fold."""

    endpoint_id: str
    owner: str
    task_id: str
    batch_id: str
