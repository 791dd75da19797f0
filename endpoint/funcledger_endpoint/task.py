"""A task on its way through the agent, from its submission to its durable outcome."""

from sys import intern

import msgspec

from funcledger_schemas.events import TaskSubmitted

#: Tasks with so few attempts have the log know of each before its call. Of those with more, one that it does
#: not know of is made up for once the task was tried alone (``Deaths``): with two that would be a third call.
_FEW = 2

#: What a task is known by within its endpoint: owner and task id.
Key = tuple[str, str]

#: What an event says that it is about: owner, task id, batch, and the offset of the submission (None where an
#: agent of the first release wrote it).
About = tuple[str, str, str, int | None]


class Task(msgspec.Struct, gc=False, eq=False):
    """One submission; ``submission`` is None while only its place in the log is held.

    ``deadline`` is in ms of the log's append time, ``size`` in bytes of payload. ``attempts`` counts
    the calls begun, as the log does. ``placed`` says that the engine has it, ``announced`` that the
    TaskStarted of the present attempt has been told, ``durable`` that the log has that, ``wary`` that it
    must before each call, ``unseen`` that a call before the first one told of counts as an attempt too,
    ``cancelled`` that somebody asked for it, ``closed`` that an outcome has been told.
    """

    offset: int
    owner: str
    task_id: str
    batch_id: str
    deadline: int
    size: int
    max_attempts: int
    submission: TaskSubmitted | None
    attempts: int = 0
    placed: bool = False
    announced: bool = False
    durable: bool = False
    wary: bool = False
    unseen: bool = False
    cancelled: bool = False
    closed: bool = False
    #: Whether it was the next of a worker that died before it was seen to begin it.
    disturbed: bool = False
    #: When the agent took it up, in ns since 1970; only where it is traced.
    taken_at: int = 0

    @classmethod
    def of(cls, offset: int, timestamp: int, event: TaskSubmitted) -> "Task":
        """The task submitted at this offset and append time (ms); a stub's payload is left to be fetched."""
        whole = len(event.payload) == event.payload_size
        return cls(
            offset,
            intern(event.owner),
            event.task_id,
            intern(event.batch_id),
            timestamp + event.expires_in * 1000,
            event.payload_size,
            event.max_attempts,
            event if whole else None,
        )

    @property
    def key(self) -> Key:
        """What it is known by."""
        return self.owner, self.task_id

    @property
    def about(self) -> About:
        """What events about it say: all others are about another, or about none that was submitted."""
        return self.owner, self.task_id, self.batch_id, self.offset

    @property
    def few(self) -> bool:
        """Whether it may be called so seldom that no call may go uncounted."""
        return self.max_attempts <= _FEW

    @property
    def counted_first(self) -> bool:
        """Whether the log must have its start before the call."""
        return self.wary or self.max_attempts <= _FEW

    @property
    def spent(self) -> int:
        """How many of its attempts are behind it or run."""
        return self.attempts + self.unseen

    @property
    def call(self) -> TaskSubmitted:
        """The whole submission, of a task that is about to be run."""
        assert self.submission is not None
        return self.submission
