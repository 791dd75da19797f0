"""A small TCP proxy that cuts connections where a test wants them cut, or lets them fall silent."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class CuttingProxy:
    """Passes bytes on; of what the server sends, each connection gets no more than it is told."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        #: Bytes from the server after which a connection ends; infinite for no end.
        self.cut_after: Callable[[], float] = lambda: math.inf
        #: Whether, instead of being cut, connections hang for ever.
        self.hang = False
        self.cuts = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            inner_reader, inner_writer = await asyncio.open_connection(*self._upstream)
        except OSError:
            writer.transport.abort()
            return
        upload = asyncio.create_task(_pass(reader, inner_writer))
        try:
            await self._download(inner_reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            upload.cancel()
            inner_writer.transport.abort()
            writer.transport.abort()
            self._tasks.discard(task)

    async def _download(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = 0
        while data := await reader.read(65536):
            limit = self.cut_after()
            if sent + len(data) > limit:
                self.cuts += 1
                writer.write(data[: max(0, int(limit) - sent)])
                await writer.drain()
                if self.hang:
                    await asyncio.Event().wait()
                return
            writer.write(data)
            await writer.drain()
            sent += len(data)

    async def close(self) -> None:
        """End every connection."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def cutting(url: str) -> AsyncIterator[tuple[str, CuttingProxy]]:
    """A proxy before this address; gives its own address and the proxy."""
    there = urlsplit(url)
    assert there.hostname
    assert there.port
    proxy = CuttingProxy(there.hostname, there.port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", proxy
    finally:
        server.close()
        await proxy.close()
