"""``EndpointLog`` through the gateway: outbound HTTP(S) from wherever the agent stands."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential, wait_random

from funcledger_event_log import http_errors, plain
from funcledger_event_log.endpoint_port import REFUSED, Identity
from funcledger_event_log.endpoint_wire import (
    FETCH_LIMIT,
    KEEP_ALIVE_INTERVAL,
    PREFIX,
    pack_appends,
    unpack_feed,
)
from funcledger_event_log.newer import NewerSchemas
from funcledger_event_log.port import Committed, LogUnavailable
from funcledger_event_log.records import Record
from funcledger_event_log.stubs import Credit
from funcledger_event_log.submissions import ALREADY_FINISHED
from funcledger_schemas import frames
from funcledger_schemas.events import EndpointStarted, Event
from funcledger_schemas.request_ids import HEADER, RequestIds, is_answer_to, mixed_up

_log = logging.getLogger(__name__)

#: Seconds: the most a cut feed waits before it is opened again, so that many agents do not come at once.
_SPREAD = 0.2
#: Seconds: the most it waits where feeds bring nothing.
_LONGEST = 10.0
#: Seconds an answer may take; appends wait for the disk, and uploads for the line.
_TIMEOUT = httpx2.Timeout(30.0, connect=10.0)


class HttpEndpointLog:
    """An ``EndpointLog`` over HTTP; one pool of connections kept alive, HTTPS_PROXY honoured.

    It tries again by itself in one case only: a feed that was cut or fell silent is opened again where
    it stopped. All else is told to the caller, who knows what may be sent again.
    """

    def __init__(
        self,
        url: str,
        credential: str,
        *,
        socket_path: Path | None = None,
        keep_alive: float = KEEP_ALIVE_INTERVAL,
    ) -> None:
        """With ``socket_path`` the server is reached there and nowhere else; ``url`` only names it."""
        self._client = httpx2.AsyncClient(
            base_url=url.rstrip("/") + PREFIX,
            headers={"Authorization": f"Bearer {credential}", "Accept-Encoding": "identity"},
            timeout=_TIMEOUT,
            limits=httpx2.Limits(keepalive_expiry=30.0),
            transport=plain.way_to(url, socket_path),
        )
        self._ids = RequestIds()
        #: A feed silent for three keep-alives is dead.
        self._patience = httpx2.Timeout(30.0, connect=10.0, read=3 * keep_alive)
        self._identity: Identity | None = None
        self._epoch: int | None = None
        self._newer = NewerSchemas(self._schema)

    async def identify(self) -> Identity:
        """As the port says."""
        self._identity = Identity(**(await self._ask("GET", "/identity")).json())
        return self._identity

    async def follow_tasks(
        self, start: int, *, credit: int, credit_bytes: int
    ) -> AsyncGenerator[list[Record]]:
        """As the port says; goes on after cuts.

        Raises:
            CredentialRefused, Fenced, PositionGone: when opening it again can never help.
        """
        left = Credit(credit, credit_bytes)
        pause = _SPREAD
        while True:
            response = await self._open_feed(start, left)
            # One that ends again and again without having brought anything is asked for ever less often.
            pause = min(2 * pause, _LONGEST)
            try:
                async with aclosing(self._received(response, "tasks")) as batches:
                    async for batch in batches:
                        pause = _SPREAD if batch else pause
                        for record in batch:
                            _check(record.offset >= start, "a record from before where the feed is")
                            left.take(record)
                            start = record.offset + 1
                        yield batch
            except LogUnavailable as error:
                _log.info("the feed of tasks was cut at offset %d: %s", start, error)
            finally:
                await response.aclose()
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 (no secret hangs on it)

    async def fetch(self, offsets: Sequence[int]) -> list[Record]:
        """As the port says."""
        found: list[Record] = []
        for at in range(0, len(offsets), FETCH_LIMIT):
            body = {"offsets": list(offsets[at : at + FETCH_LIMIT])}
            async with self._streamed("POST", "/tasks/fetch", json=body) as response:
                async for batch in self._received(response, "tasks"):
                    found += batch
        _check({record.offset for record in found} <= set(offsets), "records that were not asked for")
        return found

    async def read_results(self, start: int, end: int) -> AsyncGenerator[list[Record]]:
        """As the port says; payloads are left out."""
        async with self._streamed("GET", "/results", params={"start": start, "end": end}) as response:
            async for batch in self._received(response, "results"):
                if batch:
                    yield batch

    async def ends(self) -> tuple[int, int]:
        """As the port says."""
        ends = (await self._ask("GET", "/ends")).json()
        return ends["tasks"], ends["results"]

    async def append(self, events: Sequence[Event]) -> list[int]:
        """As the port says; what is too much for one request goes in several, in order."""
        offsets: list[int] = []
        for frame in pack_appends(events):
            headers = {"Content-Type": frames.MEDIA_TYPE}
            answer = await self._exchange("POST", "/events", content=frame, headers=headers)
            said = answer.json()
            offsets += [REFUSED if offset is None else offset for offset in said["offsets"]]
            if foreign := [why for _, word, why in said.get("refused", ()) if word != ALREADY_FINISHED]:
                _log.warning(
                    "the gateway did not take %d events, the first since %s", len(foreign), foreign[0]
                )
        for event, offset in zip(events, offsets, strict=True):
            if isinstance(event, EndpointStarted):
                self._epoch = offset
        return offsets

    async def commit(self, offset: int, metadata: str) -> None:
        """As the port says."""
        await self._ask("PUT", "/position", json={"offset": offset, "metadata": metadata})

    async def committed(self) -> Committed | None:
        """As the port says."""
        answer = await self._ask("GET", "/position")
        return Committed(**answer.json()) if answer.content else None

    async def function(self, content_hash: str, offset: int) -> bytes:
        """As the port says."""
        answer = await self._ask("GET", f"/functions/{content_hash}", params={"offset": offset})
        return answer.content

    async def _schema(self, name: str, version: int) -> str:
        return (await self._ask("GET", f"/schemas/{name}/{version}")).text

    async def close(self) -> None:
        """As the port says."""
        await self._client.aclose()

    async def _open_feed(self, start: int, left: Credit) -> httpx2.Response:
        """The feed, opened; while the gateway is away, tried again ever more slowly."""
        params = {"start": start, "credit": left.submissions, "credit_bytes": left.bytes}
        if self._epoch is not None:
            params["epoch"] = self._epoch
        return await AsyncRetrying(
            retry=retry_if_exception_type(LogUnavailable),
            wait=wait_exponential(multiplier=0.1, max=5.0) + wait_random(0, 0.5),
            before_sleep=_say_away,
        )(self._open, "GET", "/tasks", params=params, timeout=self._patience)

    async def _ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """An answer to a request that can be repeated."""
        try:
            return await self._exchange(method, path, **options)
        except Exception as error:
            raise http_errors.harmless(error) from error

    async def _exchange(self, method: str, path: str, **options: Any) -> httpx2.Response:
        try:
            response = await self._answer(method, path, **options)
            try:
                await response.aread()
            finally:
                await response.aclose()
        except httpx2.TransportError as error:
            raise http_errors.of_failure(error) from error
        if not response.is_success:
            raise http_errors.of_answer(response.status_code, response.content)
        return response

    async def _open(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """A response whose body is still to come."""
        try:
            response = await self._answer(method, path, **options)
            if not response.is_success:
                await response.aread()
        except httpx2.TransportError as error:
            raise http_errors.harmless(http_errors.of_failure(error)) from error
        if not response.is_success:
            raise http_errors.harmless(http_errors.of_answer(response.status_code, response.content))
        return response

    async def _answer(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """The answer to this very request, its body unread.

        Raises:
            httpx2.TransportError: none came, or one to another request; then the connection has been ended.
        """
        request = self._client.build_request(method, path, **{"timeout": _TIMEOUT, **options})
        request.headers[HEADER] = asked = self._ids.new()
        response = await self._client.send(request, stream=True)
        answered = response.headers.get(HEADER)
        if not is_answer_to(asked, answered):
            if (network := response.extensions.get("network_stream")) is not None:
                await network.aclose()
            await response.aclose()
            raise httpx2.RemoteProtocolError(mixed_up(asked, answered))
        return response

    @asynccontextmanager
    async def _streamed(self, method: str, path: str, **options: Any) -> AsyncIterator[httpx2.Response]:
        response = await self._open(method, path, **options)
        try:
            yield response
        finally:
            await response.aclose()

    async def _received(self, response: httpx2.Response, topic: str) -> AsyncGenerator[list[Record]]:
        """The batches of a stream as they come; an empty one is a sign of life."""
        identity = self._identity or await self.identify()
        splitter = frames.Splitter()
        try:
            async for data in response.aiter_raw():
                for frame in splitter.feed(data):
                    yield await self._newer.read(unpack_feed(frame, topic, identity)) if frame else []
        except (httpx2.TransportError, frames.FrameError) as error:
            raise LogUnavailable(f"the stream broke: {error!r}") from error


def _say_away(state: RetryCallState) -> None:
    cause = state.outcome.exception() if state.outcome else None
    _log.warning("the feed of tasks cannot be opened, attempt %d: %s", state.attempt_number, cause)


def _check(expected: bool, otherwise: str) -> None:
    """Whether the gateway's answer is to what was asked.

    Raises:
        LogUnavailable: it is not.
    """
    if not expected:
        raise LogUnavailable(f"the gateway gave {otherwise}")
