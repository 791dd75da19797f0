"""Which agents of an endpoint ended without a word, and what they had begun: told by the log alone."""

from funcledger_endpoint.task import About
from funcledger_schemas.events import EndpointStarted, EndpointStopped, Event, TaskEvent, TaskStarted
from funcledger_schemas.lifecycle import Life

#: Milliseconds of the log's time. A death that comes this long after the agent's start is a first one: hardly
#: any task takes so long to kill its agent, and agents that a scheduler ends each day make none suspect.
_SOON = 600_000
#: Deaths in a row from which on those begun at one are suspects, and are tried alone.
SECOND = 2


class Deaths:
    """Takes in the results that count, in log order, with the life of the task each is about.

    ``in_a_row`` is how many agents up to the last start ended without an EndpointStopped, one soon after
    the other; 0 if the last left in good order.
    """

    def __init__(self, endpoint_id: str) -> None:
        self._endpoint_id = endpoint_id
        self.in_a_row = 0
        #: When the agent in force started, None when it has left or there is none.
        self._since: int | None = None
        #: The attempts that run.
        self._running: dict[About, int] = {}
        #: The attempts during which an agent died.
        self._died: dict[About, set[int]] = {}
        #: When the successor of the last agent that died started; -1 before the first death.
        self._last = -1
        #: Of tasks first begun after a death, when that was: an agent before may have begun them untold.
        self._first_after: dict[About, int] = {}
        #: Suspects that were tried alone, and those of them whose agent died meanwhile.
        self._tried: set[About] = set()
        self._guilty: set[About] = set()

    def begin_after(self, epoch_in_force: bool) -> None:
        """What comes next is read from the middle of the log; whether an agent was in force there."""
        self._since = 0 if epoch_in_force else None

    def note(self, timestamp: int, event: Event) -> None:
        """An event that is not one of a task's; ``timestamp`` is its append time in ms."""
        if isinstance(event, EndpointStarted) and event.endpoint_id == self._endpoint_id:
            self._started(timestamp)
        elif isinstance(event, EndpointStopped) and event.endpoint_id == self._endpoint_id:
            self._since, self.in_a_row = None, 0

    def _started(self, timestamp: int) -> None:
        if self._since is None:
            self.in_a_row = 0
        else:
            self.in_a_row = self.in_a_row + 1 if timestamp - self._since < _SOON else 1
            self._last = timestamp
            for about, attempt in self._running.items():
                self._died.setdefault(about, set()).add(attempt)
            self._guilty |= self._tried & self._running.keys()
        self._since = timestamp

    def follow(self, about: About, life: Life, event: TaskEvent) -> None:
        """The event has moved the life on."""
        if isinstance(event, TaskStarted):
            self._running[about] = life.attempts
            if life.attempts == 1 and self._last >= 0:
                self._first_after[about] = self._last
            if self.in_a_row >= SECOND and about in self._died:
                self._tried.add(about)
            return
        self._running.pop(about, None)
        if life.outcome is not None:
            self._died.pop(about, None)
            self._first_after.pop(about, None)
            self._tried.discard(about)
            self._guilty.discard(about)

    def during(self, about: About) -> int:
        """How many of the task's attempts an agent died in."""
        return len(self._died.get(about, ()))

    def may_have_run_unseen(self, about: About, submitted_at: int) -> bool:
        """Whether an agent died under a call of it that the log does not know, as far as can be told.

        One died after its submission (append time in ms; as far as is known, since what tells of the death is
        the next agent's start) and before its first TaskStarted. Of a thousand tasks that waited then that is
        true as well; so it is held only against one that was tried alone since, and had its agent die again.
        """
        return about in self._guilty and submitted_at < self._first_after.get(about, -1)
