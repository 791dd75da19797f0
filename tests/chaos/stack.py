"""The port between a run and what it runs on: one server, or services over a broker and a database."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import psutil
from tests.chaos.auditor.facts import Raw


class Victim(NamedTuple):
    """A process that may be struck, and what it is."""

    role: str
    process: psutil.Process


class Rebuilt(NamedTuple):
    """What the product makes of the log anew; the fields are those of ``Evidence``."""

    statuses: dict[str, tuple[str, int, str | None]]
    differs: list[str]
    leaves: dict[str, str]


class Stack(Protocol):
    """A running product. Nothing of it is judged here; the log is handed out raw."""

    @property
    def roles(self) -> tuple[str, ...]:
        """What its victims are."""
        ...

    @property
    def environment(self) -> dict[str, str]:
        """What a client has in its environment to find it."""
        ...

    def start(self) -> None:
        """Start everything, and return once it is ready."""
        ...

    def tend(self) -> None:
        """Start again what has ended, as an operator would; asked several times a second."""
        ...

    def victims(self) -> list[Victim]:
        """The processes there are now."""
        ...

    def usurp(self) -> int | None:
        """Start one more agent of the endpoint, elsewhere, which takes it over (law 7); its process.

        None when there cannot be one just now.
        """
        ...

    def endings(self) -> list[str]:
        """Processes that ended otherwise than by SIGKILL or by being superseded, one sentence each."""
        ...

    def settle(self) -> None:
        """Return once the query side tells all that is on the log now, or has had its time."""
        ...

    def stop(self) -> None:
        """End everything in good order."""
        ...

    def records(self) -> Iterator[Raw]:
        """The whole log, partition by partition, once all is stopped; by no code of the product."""
        ...

    def rebuild(self, folder: Path) -> Rebuilt:
        """Fold the log into a fresh store in this folder, and compare that with the live one."""
        ...
