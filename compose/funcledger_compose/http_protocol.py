"""HTTP/1.1 as uvicorn speaks it, within bounds: refusals are problem documents, and the connection ends."""

import asyncio
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from funcledger_compose.connections import AddressConnections, Connections, WaitsFor
from funcledger_web.auth import principal_of
from funcledger_web.problems import Problem


def protocol_of(connections: Connections) -> type[asyncio.Protocol]:
    """For uvicorn's setting ``http``: its protocol, with every connection held to the limits of these."""
    return cast("type[asyncio.Protocol]", partial(BoundedProtocol, connections=connections))


#: Header fields of a request that has a body.
_OF_BODIES = (b"content-length", b"transfer-encoding")
_EMPTY = (b"content-length", b"0")


class _NoTrailers(list[tuple[bytes, bytes]]):
    """Where header fields go that come after a body: nobody asked for them."""

    def append(self, _field: tuple[bytes, bytes]) -> None:
        pass


_NO_TRAILERS = _NoTrailers()


class _Refused(Exception):
    """Stops the parser: what it reads is refused."""


class _Transport:
    """A connection as an answer sees it: the end of the answer need not lose it before it has been read.

    A socket that is closed while its client still sends is reset, and the client may never see what was said.
    """

    def __init__(self, transport: asyncio.Transport, end: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = end


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    A head's size is looked at when it is complete, and after every further piece that does not complete it:
    so what is parsed of one that is too large is bounded by the limit and two pieces (256 KiB at most each).
    """

    def __init__(self, *args: Any, connections: Connections, **options: Any) -> None:
        super().__init__(*args, **options)
        self._registry = connections
        self._limits = connections.limits
        #: A head that comes whole in a piece of so many bytes is within every limit on bytes.
        self._small = min(self._limits.target, self._limits.head)
        self._address: AddressConnections | None = None
        self._waits: WaitsFor | None = None
        #: Whether a head has begun and is not complete; a request has begun and is not complete.
        self._in_head = self._in_request = False
        #: Bytes that came with the pieces of the present head, and of heads whose requests wait.
        self._head_bytes = self._piece = self._queued_bytes = 0
        #: Bytes since the body last grew: of chunks' frames and of trailers.
        self._fruitless = 0
        #: Whether bytes of a head that is not complete are counted with the registry.
        self._holds = False
        #: What is answered when everything before it is; whether the last answer of all was given.
        self._refusal: Problem | None = None
        self._answered_last = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take it in if there is room."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._to_the_end = cast("asyncio.Transport", _Transport(self.transport, self._end))
        self._address, room = self._registry.enter(self.client[0] if self.client else "")
        self._wait_for(WaitsFor.HEAD)
        if not room:
            self._refusal = _too_many_connections()
            self.make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._leave()
        super().connection_lost(exc)

    def _leave(self) -> None:
        if self._address is not None:
            self._registry.leave(self, self._address)
            self._address = None

    def _wait_for(self, waits: WaitsFor | None) -> None:
        """What the client owes from now on; None while an answer is owed to it."""
        if self._address is None:
            return
        if self._waits is not None:
            self._address.waiting[self._waits].pop(self, None)
        if waits is not None:
            self._address.waiting[waits][self] = self.loop.time()
        self._waits = waits

    # What comes

    def data_received(self, data: bytes) -> None:
        """Parse it, unless something before it was refused."""
        self._unset_keepalive_if_required()
        if self._refusal is not None or self._answered_last:
            return
        in_head = self._in_head
        self._piece = len(data)
        self._fruitless += self._piece
        try:
            self._feed(data)
        except _Refused:
            return
        if self._in_head:
            self._check_begun(in_head)
        elif self._fruitless > self._limits.head and self._in_request:
            self._refuse(Problem("header-too-large", "What stands between and after the chunks is too much."))

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # To another protocol, which is not spoken here: what follows is HTTP as before.
                data = data[upgrade.args[0] :]
            except httptools.HttpParserError:
                self._refuse(self._refusal or _malformed())
                raise _Refused from None
            else:
                return

    def _check_begun(self, in_head: bool) -> None:
        """Whether a head that is not complete may go on; one that begins amid a piece begins at nothing."""
        self._head_bytes += self._piece if in_head else 0
        if not self._answering():
            if self._waits is None:
                self._wait_for(WaitsFor.HEAD)
            self._holds = True
            self._registry.hold(self, self._head_bytes + self._piece)
            if self._answered_last:
                return
        if len(self.url) > self._limits.target:
            self._refuse(_target_too_long(self._limits.target))
        elif self._head_bytes > self._limits.head:
            self._refuse(_head_too_large(self._limits.head))

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def on_message_begin(self) -> None:
        """A request begins: no more than so many of one connection wait."""
        waiting = len(self.pipeline)
        if waiting and (waiting >= self._limits.pipelined or self._queued_bytes > self._limits.head):
            self._stop(_too_many_pipelined(self._limits.pipelined))
        super().on_message_begin()
        self._in_head = self._in_request = True
        self._head_bytes = 0
        if self._waits is not None and self._waits is not WaitsFor.HEAD:
            self._wait_for(None)

    def on_headers_complete(self) -> None:
        """The head is there: it is bounded, and then answered or queued by uvicorn."""
        if (
            self._head_bytes
            or self._holds
            or self._piece > self._small
            or len(self.headers) > self._limits.fields
        ):
            self._check_head()
        if self.parser.should_upgrade() and any(
            field[0] in _OF_BODIES for field in self.headers if field != _EMPTY
        ):
            self._stop(_upgrade_with_body())  # the parser would take the body for the next request
        self._in_head = False
        self._fruitless = 0
        if self._holds:
            self._holds = False
            self._registry.hold(self, 0)
        super().on_headers_complete()
        if self.pipeline:
            self._queued_bytes += self._head_size()
        elif self._queued_bytes:
            self._queued_bytes = 0
        self.headers = _NO_TRAILERS
        if self.scope["method"] != "GET":
            self.cycle.transport = self._to_the_end
        if self._waits is not None:
            self._wait_for(None)

    def _head_size(self) -> int:
        return len(self.url) + sum([len(name) + len(value) for name, value in self.headers])

    def _check_head(self) -> None:
        if len(self.url) > self._limits.target:
            self._stop(_target_too_long(self._limits.target))
        if self._head_size() > self._limits.head:
            self._stop(_head_too_large(self._limits.head))
        if len(self.headers) > self._limits.fields:
            self._stop(_too_many_fields(self._limits.fields))

    def on_body(self, body: bytes) -> None:
        """Part of a body."""
        self._fruitless = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is there; its answer may be as well."""
        self._in_request = False
        super().on_message_complete()
        if self.cycle.response_complete:
            self._rest()

    # What is answered

    def on_response_complete(self) -> None:
        """An answer is given: on with the next request, or to what the client owes."""
        if self._answered_last:
            self.server_state.total_requests += 1
            return
        super().on_response_complete()
        if self.pipeline or self._answering() or self.transport.is_closing():
            return
        if self._refusal is not None:
            self._say(self._refusal)
        else:
            self._rest()

    def _rest(self) -> None:
        if self._in_head:
            self._wait_for(WaitsFor.HEAD)
        elif self._in_request:
            self._wait_for(WaitsFor.REST)
        else:
            known = principal_of(self.cycle.scope) is not None  # type: ignore[arg-type]
            self._wait_for(WaitsFor.KNOWN if known else WaitsFor.STRANGER)

    def _stop(self, problem: Problem) -> None:
        """From within the parser: nothing more is parsed."""
        self._refusal = problem
        raise _Refused

    def _refuse(self, problem: Problem) -> None:
        """Answer with it when what came before is answered, and read nothing more."""
        self._refusal = problem
        self._in_head = False
        self._registry.hold(self, 0)
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self._say(problem)
        elif cycle.more_body:
            self._break_off(problem)

    def _break_off(self, problem: Problem) -> None:
        """The last request's body cannot be read on: whoever waits for it is told that nobody is there."""
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        if self.pipeline or self.cycle.response_started:
            self.transport.close()
        else:
            self._say(problem)

    def _say(self, problem: Problem) -> None:
        self._unset_keepalive_if_required()
        self.transport.write(_answer(problem))
        self._end()

    def _end(self) -> None:
        """Say no more, and close when the client has done so too, or will not."""
        self._answered_last = True
        done = self._refusal is None and not self._in_request and not self._in_head
        if done or self.transport.is_closing() or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self.flow.resume_reading()
        self._wait_for(WaitsFor.END)

    # Who waits too long

    def give_up(self, waits: WaitsFor) -> None:
        """End it: it has waited too long. A head that has begun is answered 408."""
        if waits is WaitsFor.HEAD and self._in_head:
            detail = f"The head took over {self._limits.head_time:g} seconds. Send it again."
            self._refuse(Problem("slow-request", detail))
        elif waits is WaitsFor.END:
            self.transport.abort()
        else:
            self.transport.close()

    def make_room(self) -> None:
        """End it at once: another is let in."""
        if self._in_head or (self._refusal is not None and not self._answered_last):
            self.transport.write(_answer(self._refusal or _too_many_connections()))
        self._refusal = self._refusal or _too_many_connections()
        self._answered_last = True
        self.transport.close()
        self._leave()


def _answer(problem: Problem) -> bytes:
    """The bytes of an answer that no app gives."""
    response = problem.response()
    status = HTTPStatus(problem.status_code)
    lines = [b"HTTP/1.1 %d %s" % (status, status.phrase.encode())]
    lines += [b"%s: %s" % field for field in response.raw_headers]
    return b"\r\n".join((*lines, b"connection: close", b"", bytes(response.body)))


def _malformed() -> Problem:
    return Problem("malformed-request", "This is not HTTP/1.1. Send a request as RFC 9112 says.")


def _upgrade_with_body() -> Problem:
    detail = "HTTP/1.1 is all that is spoken here. Send a request with a body without the header Upgrade."
    return Problem("malformed-request", detail)


def _head_too_large(limit: int) -> Problem:
    return Problem("header-too-large", f"The request's head is over {limit} bytes.", limit=limit)


def _too_many_fields(limit: int) -> Problem:
    return Problem("header-too-large", f"The request's head has over {limit} fields.", limit=limit)


def _target_too_long(limit: int) -> Problem:
    detail = f"The request's address is over {limit} bytes. Ask for less at once."
    return Problem("uri-too-long", detail, limit=limit)


def _too_many_pipelined(limit: int) -> Problem:
    detail = (
        f"Over {limit} requests wait for their answers on this connection. Read answers before you send more."
    )
    return Problem("too-many-requests", detail, limit=limit)


def _too_many_connections() -> Problem:
    return Problem("too-many-connections", "The server has as many connections as it may. Come back later.")
