"""What an agent knows of tasks that are not in its hands: some began before it came, some have ended."""

from funcledger_endpoint.task import Key
from funcledger_schemas.lifecycle import Life
from funcledger_schemas.recent_tasks import RecentTasks

#: Ended tasks that are remembered, so that a late copy of a submission is known for what it is (law 3).
_REMEMBERED = 100_000


class Past:
    """Lives that the log tells of, until every submission before them was read; and tasks that have ended."""

    def __init__(self) -> None:
        self._lives: dict[Key, Life] = {}
        self._ended = RecentTasks(_REMEMBERED)

    def learn(self, lives: dict[Key, Life]) -> None:
        """What the log says of each task, at the beginning of an epoch."""
        self._lives = lives

    def has_ended(self, key: Key) -> bool:
        """Whether the task has, as far as is remembered."""
        life = self._lives.get(key)
        return (life is not None and life.outcome is not None) or self._ended.has(key[:1], key[1])

    def begun(self, key: Key) -> Life | None:
        """What had become of a task that is taken up now."""
        return self._lives.pop(key, None)

    def end(self, key: Key) -> None:
        """The task has ended."""
        self._ended.add(key[:1], key[1])

    def shorten(self) -> None:
        """No earlier submission can come any more, so late copies alone matter: keep what has ended."""
        for key, life in self._lives.items():
            if life.outcome is not None:
                self.end(key)
        self._lives = {}
