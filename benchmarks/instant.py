"""A MongoDB that forgets everything and answers at once: ``python -m benchmarks.instant PORT``.

What a projector does on it is what the projector and the adapter can do, whatever the database. Every
document is new to it and every write succeeds; it keeps positions, and nothing else. It speaks as much of
MongoDB's wire protocol as the driver needs: OP_MSG, and OP_QUERY for the first greeting.
"""

import asyncio
import struct
import sys
from collections.abc import Iterator
from typing import Any

import bson

_HEADER = struct.Struct("<iiii")
_QUERY, _MSG, _REPLY = 2004, 2013, 1
#: OP_QUERY's flags, before the name of its collection; what it skips and returns, behind.
_FLAGS, _PAGE = 4, 8
_GREETING = {
    "ismaster": True,
    "helloOk": True,
    "minWireVersion": 0,
    "maxWireVersion": 21,
    "maxBsonObjectSize": 16 << 20,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
    "ok": 1,
}
_STATE = "read_models"

Command = dict[str, Any]


class Instant:
    """The answers; the state document of read models is the one thing it remembers."""

    def __init__(self) -> None:
        self._state: Command | None = None

    def answer(self, command: Command, documents: int) -> Command:
        """What is replied to a command that came with so many documents beside it."""
        match next(iter(command)):
            case "hello" | "ismaster" | "isMaster":
                return _GREETING
            case "buildInfo":
                return {"version": "8.0.0", "ok": 1}
            case "listCollections":
                return _cursor(command, "$cmd.listCollections", [])
            case "find":
                known = command["find"] == _STATE and self._state is not None
                return _cursor(command, command["find"], [self._state] if known else [])
            case "insert" | "update" as write:
                if command[write] == _STATE:
                    documents = self._keep(command)
                return {"n": documents, "nModified": documents, "ok": 1}
        return {"ok": 1}

    def _keep(self, command: Command) -> int:
        for document in command.get("documents", ()):
            self._state = document
        for update in command.get("updates", ()):
            assert self._state is not None
            for path, value in update["u"]["$set"].items():
                parent, _, name = path.rpartition(".")
                (self._state[parent] if parent else self._state)[name] = value
        return 1

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it ends."""
        try:
            while True:
                size, request, _, kind = _HEADER.unpack(await reader.readexactly(_HEADER.size))
                body = await reader.readexactly(size - _HEADER.size)
                if kind == _QUERY:
                    body = body[body.index(b"\0", _FLAGS) + 1 + _PAGE :]
                    _send(
                        writer,
                        request,
                        _REPLY,
                        struct.pack("<iqii", 8, 0, 0, 1),
                        self.answer(_decoded(body), 0),
                    )
                else:
                    _send(writer, request, _MSG, b"\0\0\0\0\0", self.answer(*_read(body)))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


def _read(body: bytes) -> tuple[Command, int]:
    """The command of an OP_MSG, and how many documents are beside it; they are read for the state only."""
    command: Command = {}
    documents = 0
    at = 4  # flags
    while at < len(body):
        kind, at = body[at], at + 1
        (size,) = struct.unpack_from("<i", body, at)
        piece = body[at : at + size]
        at += size
        if kind == 0:
            command.update(_decoded(piece))
            continue
        end = piece.index(b"\0", 4)
        name, starts = piece[4:end].decode(), list(_starts(piece, end + 1))
        documents += len(starts)
        if _STATE in command.values():
            command[name] = [_decoded(piece[start:]) for start in starts]
    return command, documents


def _starts(piece: bytes, at: int) -> Iterator[int]:
    while at < len(piece):
        yield at
        at += struct.unpack_from("<i", piece, at)[0]


def _decoded(raw: bytes) -> Command:
    (size,) = struct.unpack_from("<i", raw)
    return dict(bson.decode(raw[:size]))


def _cursor(command: Command, collection: str, documents: list[Any]) -> Command:
    return {
        "cursor": {"id": 0, "ns": f"{command['$db']}.{collection}", "firstBatch": documents},
        "ok": 1,
    }


def _send(writer: asyncio.StreamWriter, request: int, kind: int, prefix: bytes, document: Command) -> None:
    body = prefix + bson.encode(document)
    writer.write(_HEADER.pack(_HEADER.size + len(body), 0, request, kind) + body)


async def main() -> None:
    """Listen until the process is ended."""
    server = await asyncio.start_server(Instant().serve, "127.0.0.1", int(sys.argv[1]), limit=64 << 20)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
