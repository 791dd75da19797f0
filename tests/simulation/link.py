"""``EndpointLog`` between a simulated agent and the gateway: what the HTTP adapter is, without HTTP."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TypeVar

from tests.simulation.network import Host, Line, Pipe, Refused
from tests.simulation.process import Killed
from tests.simulation.storage import Point

from funcledger_event_log.direct import DirectEndpointLog
from funcledger_event_log.endpoint_port import CredentialRefused, Identity
from funcledger_event_log.endpoint_wire import pack_appends, unpack_feed
from funcledger_event_log.port import Committed, LogUnavailable, OutcomeUnknown
from funcledger_event_log.records import Record
from funcledger_event_log.stubs import Credit, stub
from funcledger_gateway.door import Door
from funcledger_gateway.feed import feed
from funcledger_gateway.intake import records_of
from funcledger_schemas import clock
from funcledger_schemas.events import EndpointStarted, Event
from funcledger_schemas.frames import Splitter
from funcledger_web.auth import Principal
from funcledger_web.problems import Problem

T = TypeVar("T")


class Link:
    """An agent's, to whichever gateway listens."""

    def __init__(self, line: Line, gateway: Host, endpoint_id: str, point: Point) -> None:
        self._line, self._gateway, self._point = line, gateway, point
        self._who = Principal.endpoint(endpoint_id)
        self._epoch: int | None = None
        self._identity: Identity | None = None

    async def identify(self) -> Identity:
        async def serve(door: Door) -> Identity:
            return door.identity(self._who)

        self._identity = await self._ask(serve)
        return self._identity

    async def follow_tasks(
        self, start: int, *, credit: int, credit_bytes: int
    ) -> AsyncGenerator[list[Record]]:
        left = Credit(credit, credit_bytes)
        while True:
            try:
                async with aclosing(self._received(start, left)) as batches:
                    async for batch in batches:
                        for record in batch:
                            left.take(record)
                            start = record.offset + 1
                        yield batch
            except LogUnavailable:
                pass  # as after the end of a feed: it is opened again
            await clock.sleep(clock.uniform(0, 0.5))

    async def _received(self, start: int, left: Credit) -> AsyncGenerator[list[Record]]:
        assert self._identity is not None
        who, epoch = self._who, self._epoch

        async def serve(door: Door) -> AsyncGenerator[bytes]:
            await door.check_feed(who, start, epoch)
            view = door.view(who)
            batches = view.follow_tasks(start, credit=left.submissions, credit_bytes=left.bytes)
            async with aclosing(feed(batches, door.feed_ended(who, epoch), door.keep_alive)) as chunks:
                async for chunk in chunks:
                    yield chunk

        splitter = Splitter()
        try:
            async with aclosing(Pipe(self._line, self._gateway, serve).received()) as chunks:
                async for chunk in chunks:
                    for frame in splitter.feed(chunk):
                        yield unpack_feed(frame, "tasks", self._identity) if frame else []
        except (ConnectionError, OutcomeUnknown) as error:
            raise LogUnavailable(str(error)) from error

    async def fetch(self, offsets: Sequence[int]) -> list[Record]:
        return await self._view(lambda view: view.fetch(offsets))

    async def read_results(self, start: int, end: int) -> AsyncGenerator[list[Record]]:
        async def read(view: DirectEndpointLog) -> list[list[Record]]:
            async with aclosing(view.read_results(start, end)) as batches:
                return [[stub(record) for record in batch] async for batch in batches]

        for batch in await self._view(read):
            yield batch

    async def ends(self) -> tuple[int, int]:
        return await self._view(lambda view: view.ends())

    async def append(self, events: Sequence[Event]) -> list[int]:
        self._pass("before request")
        offsets: list[int] = []
        for frame in pack_appends(events):
            offsets += await self._append(frame)
        self._pass("after request")
        for event, offset in zip(events, offsets, strict=True):
            if isinstance(event, EndpointStarted):
                self._epoch = offset
        return offsets

    async def _append(self, frame: bytes) -> list[int]:
        async def serve(door: Door) -> list[int]:
            view = door.view(self._who)
            return (await view.append_records(await records_of(frame, view))).offsets

        try:
            return await self._line.ask(self._gateway, serve)
        except Refused as error:
            raise LogUnavailable(str(error)) from error
        except ConnectionError as error:
            raise OutcomeUnknown(str(error)) from error

    async def commit(self, offset: int, metadata: str) -> None:
        await self._view(lambda view: view.commit(offset, metadata))

    async def committed(self) -> Committed | None:
        return await self._view(lambda view: view.committed())

    async def function(self, content_hash: str, offset: int) -> bytes:
        return await self._view(lambda view: view.function(content_hash, offset))

    async def close(self) -> None:
        """There is nothing to let go of."""

    def _pass(self, point: str) -> None:
        if self._point(self._line.process, point):
            raise Killed

    async def _view(self, use: Callable[[DirectEndpointLog], Awaitable[T]]) -> T:
        async def serve(door: Door) -> T:
            return await use(door.view(self._who))

        return await self._ask(serve)

    async def _ask(self, serve: Callable[[Door], Awaitable[T]]) -> T:
        try:
            return await self._line.ask(self._gateway, serve)
        except (ConnectionError, OutcomeUnknown) as error:
            raise LogUnavailable(str(error)) from error
        except Problem as error:
            raise CredentialRefused(str(error)) from error
