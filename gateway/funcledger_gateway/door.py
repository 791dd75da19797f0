"""What all requests of endpoints share: who they are, their view of the log, and when feeds must end."""

import asyncio
from typing import Final

from funcledger_event_log.direct import DirectEndpointLog
from funcledger_event_log.endpoint_port import Fenced, Identity
from funcledger_event_log.endpoint_wire import KEEP_ALIVE_INTERVAL
from funcledger_event_log.follower import Tail
from funcledger_event_log.port import EventLog, LogCorrupt, PositionGone
from funcledger_event_log.submissions import SubmissionMemory, Submissions
from funcledger_gateway.bodies import CatalogueBodies
from funcledger_gateway.fencing import EpochTail
from funcledger_web.auth import Principal, unauthenticated
from funcledger_web.catalogue import Catalogue
from funcledger_web.rates import Waits


class Door:
    """The endpoints' way to the log: each sees its own tasks and results, and nothing of anybody else's.

    ``catalogue`` is fed by ``catalogue_tail``, which whoever made them starts and stops, as the ``epochs``.
    ``submitted`` is what another part of this process remembers of all that it follows of ``tasks``.
    """

    def __init__(
        self,
        log: EventLog,
        epochs: EpochTail,
        catalogue: Catalogue,
        catalogue_tail: Tail,
        *,
        keep_alive: float = KEEP_ALIVE_INTERVAL,
        waits: Waits | None = None,
        submitted: SubmissionMemory | None = None,
    ) -> None:
        self.keep_alive: Final = keep_alive
        #: Feeds that each endpoint has open.
        self.waits: Final = waits or Waits()
        self._log = log
        self._epochs = epochs
        self._catalogue = catalogue
        self._bodies = CatalogueBodies(log, catalogue, catalogue_tail)
        self._submissions = Submissions(log, submitted)
        #: Per endpoint, where its last feed began that met damage; what one brings moves the next on.
        self._damage: dict[str, tuple[int, LogCorrupt]] = {}
        self._closing = asyncio.Event()

    def identity(self, who: Principal) -> Identity:
        """Whom the credential speaks for.

        Raises:
            Problem: unauthenticated, when the log knows no such endpoint.
        """
        endpoint = self._catalogue.endpoints.get(who.id)
        if endpoint is None:
            raise unauthenticated()
        return Identity(endpoint.endpoint_id, endpoint.name, endpoint.owner, endpoint.partition)

    def view(self, who: Principal) -> DirectEndpointLog:
        """The endpoint's own view of the log, through which alone its requests read and write."""
        identity = self.identity(who)
        fencing = self._epochs.of(identity.partition)
        return DirectEndpointLog(
            self._log, identity, fencing=fencing, bodies=self._bodies, submissions=self._submissions
        )

    async def check_feed(self, who: Principal, start: int, epoch: int | None) -> None:
        """Refuse a feed that would end at once.

        Raises:
            Fenced: a newer agent has taken over.
            PositionGone: retention has removed what it would begin with.
            LogCorrupt: the last one that began there met damage.
        """
        if (damage := self._damage.get(who.id)) is not None and damage[0] == start:
            raise damage[1]
        if epoch is not None and epoch < self._epochs.fence.current(who.id):
            raise Fenced("a newer agent of this endpoint has started; this one must stop")
        lowest = (await self._log.starts("tasks")).get(self.identity(who).partition, 0)
        if 0 < start < lowest:
            raise PositionGone(f"tasks are kept from offset {lowest} on, not from {start}")

    def note_damage(self, who: Principal, start: int, damage: LogCorrupt) -> None:
        """A feed that began there has met what cannot be read."""
        self._damage[who.id] = (start, damage)

    async def feed_ended(self, who: Principal, epoch: int | None) -> None:
        """Return when the feed of the agent of this epoch must end: a newer one has started, or we stop.

        A feed opened before its agent has an epoch belongs to the agent that starts next.
        """
        async with asyncio.TaskGroup() as group:
            waits = [
                group.create_task(self._closing.wait()),
                group.create_task(self._taken_over(who.id, epoch)),
            ]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()

    async def _taken_over(self, endpoint_id: str, epoch: int | None) -> None:
        fence = self._epochs.fence
        if epoch is None:
            await fence.wait_newer(endpoint_id, fence.current(endpoint_id))
            epoch = fence.current(endpoint_id)
        await fence.wait_newer(endpoint_id, epoch)

    def close_feeds(self) -> None:
        """End every feed: the server stops, and agents shall look for the next one."""
        self._closing.set()

    @property
    def failed(self) -> bool:
        """Whether appends can no longer be answered; then this process is not ready."""
        return self._epochs.failed
