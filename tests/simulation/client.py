"""A client: submits and cancels until it is told yes, and reads its stream of results over every cut."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from tests.simulation.network import Host, Line, Pipe
from tests.simulation.scenario import Endpoint, PlannedTask, Request
from tests.simulation.services import Api, Queries

from funcledger_schemas import frames
from funcledger_web.problems import Problem

T = TypeVar("T")


class Client:
    """``acknowledged`` are the tasks submitted for certain, ``got`` every result sent: task id, and where."""

    def __init__(self, line: Line, api: Host, query: Host, endpoints: Sequence[Endpoint]) -> None:
        self._line, self._api, self._query, self._endpoints = line, api, query, endpoints
        self.acknowledged: dict[str, Request] = {}
        self.asked_to_cancel: set[str] = set()
        self.got: list[tuple[str, dict[str, Any]]] = []
        #: Requests that have not been told yes yet.
        self.open = 0

    async def submit(self, request: Request) -> None:
        """Submit at its time, and perhaps once more."""
        self.open += 1
        await asyncio.sleep(request.at)
        endpoint_id = self._endpoints[request.endpoint].endpoint_id

        async def serve(api: Api) -> Any:
            return await api.submit(request, endpoint_id)

        await self._until_told(serve)
        for task in request.tasks:
            self.acknowledged[task.task_id] = request
        if request.again is not None:
            await asyncio.sleep(request.again - request.at)
            await self._until_told(serve)
        self.open -= 1

    async def cancel(self, request: Request, task: PlannedTask, at: float) -> None:
        """Ask for a task to be cancelled."""
        self.open += 1
        await asyncio.sleep(at)
        endpoint = self._endpoints[request.endpoint]

        async def serve(api: Api) -> Any:
            return await api.cancel(request, task, endpoint.endpoint_id, endpoint.partition)

        self.asked_to_cancel.add(task.task_id)
        await self._until_told(serve)
        self.open -= 1

    async def _until_told(self, serve: Callable[[Api], Awaitable[T]]) -> T:
        pause = 0.05
        while True:
            try:
                return await self._line.ask(self._api, serve)
            except ConnectionError:
                pass
            except Problem as problem:
                if problem.status_code < 500:
                    raise
            await asyncio.sleep(pause * (0.5 + self._line.process.dice.random()))
            pause = min(2 * pause, 1.0)

    async def read(self, owner: str, batches: list[str]) -> None:
        """Read the owner's results, without end; what was got is kept with where to go on."""
        resume = ""
        while True:

            def serve(queries: Queries, resume: str = resume) -> AsyncGenerator[bytes]:
                stream: AsyncGenerator[bytes] = queries.stream(owner, batches, resume)
                return stream

            left = self._line.process.dice.choice((1, 3, 10, 1000, 1000))
            try:
                async with aclosing(Pipe(self._line, self._query, serve).received()) as chunks:
                    async for chunk in chunks:
                        resume = self._take(owner, chunk) or resume
                        left -= 1
                        if not left:
                            break
            except ConnectionError:
                pass
            await asyncio.sleep(0.05 + 0.3 * self._line.process.dice.random())

    def _take(self, owner: str, chunk: bytes) -> str | None:
        """Keep what a chunk brings; where to go on from."""
        resume = None
        for frame in frames.Splitter().feed(chunk):
            if not frame:
                continue
            head, _ = frames.unpack(frame)
            self.got += [(owner, task) for task in head["tasks"]]
            resume = head["resume"]
        return resume
