"""What an agent knows of tasks that are not in its hands: some began before it came, some have ended."""

from collections.abc import Mapping

from funcledger_endpoint.task import About, Key, Task
from funcledger_schemas.lifecycle import Life
from funcledger_schemas.recent_tasks import RecentTasks

#: Ended tasks that are remembered, so that a late copy of a submission is known for what it is (law 3).
_REMEMBERED = 100_000
#: Where the submission stands that an event of the first release does not name.
_SOMEWHERE = -1


class Past:
    """Lives that the log tells of, until every submission before them was read; and tasks that have ended.

    Only a life that names a task's own submission and batch is that task's. Whoever writes to Kafka without a
    gateway can write what he likes; of what was never submitted nothing is believed (law 15).
    """

    def __init__(self) -> None:
        self._lives: dict[About, Life] = {}
        #: Of tasks that have ended, the lowest submission that an outcome names, and its batch.
        self._outcomes: dict[Key, tuple[int, str]] = {}
        self._ended = RecentTasks(_REMEMBERED)

    def learn(self, lives: Mapping[About, Life], tasks_end: int) -> None:
        """What the log says of each submission at the beginning of an epoch; none stands behind its end."""
        for about, life in lives.items():
            owner, task_id, batch_id, submission = about
            if submission is not None and submission >= tasks_end:
                continue
            if life.outcome is None:
                self._lives[about] = life
            else:
                place = (_SOMEWHERE if submission is None else submission, batch_id)
                self._outcomes[owner, task_id] = min(place, self._outcomes.get((owner, task_id), place))

    def has_ended(self, task: Task) -> bool:
        """Whether the task has, as far as is remembered; so has a copy of a submission that has."""
        if self._outcomes and (outcome := self._outcomes.get(task.key)) is not None:
            submission, batch_id = outcome
            if _SOMEWHERE < submission < task.offset:
                return True
            if submission <= task.offset and batch_id == task.batch_id:
                return True
        return self._ended.has((task.owner,), task.task_id)

    def begun(self, task: Task) -> Life | None:
        """What had become of a task that is taken up now."""
        if not self._lives:
            return None
        own = self._lives.pop(task.about, None)
        first_release = self._lives.pop((*task.about[:3], None), None)
        if own is None or first_release is None:
            return own or first_release
        return max(own, first_release, key=lambda life: (life.attempts, not life.running))

    def end(self, key: Key) -> None:
        """The task has ended."""
        self._ended.add(key[:1], key[1])

    def shorten(self) -> None:
        """No earlier submission can come any more, so late copies alone matter: keep what has ended."""
        for key in self._outcomes:
            self.end(key)
        self._lives, self._outcomes = {}, {}
