"""The log over HTTP on bad lines: what it does by itself, and what it tells the agent."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2
import pytest
from tests.support.cutting import CuttingProxy, cutting
from tests.support.deadlines import scaled
from tests.support.endpoints import TestEndpoint, gateway_over, memory_log, say
from tests.support.poll import until
from tests.support.scripted import Asked, Reply, scripted
from tests.support.server import serving

from funcledger_event_log import http_errors
from funcledger_event_log.endpoint_port import CredentialRefused, Fenced
from funcledger_event_log.endpoint_wire import pack_feed
from funcledger_event_log.http import HttpEndpointLog
from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.port import LogFull, LogUnavailable, OutcomeUnknown
from funcledger_event_log.records import Record
from funcledger_schemas.envelope import Brief
from funcledger_schemas.events import Event
from funcledger_web.problems import Problem
from funcledger_web.tokens import ENDPOINT_PREFIX, new_token


@dataclass
class Line:
    """An agent whose every connection goes through a proxy that can cut it."""

    log: MemoryLog
    endpoint: TestEndpoint
    proxy: CuttingProxy
    agent: HttpEndpointLog
    url: str


@pytest.fixture
async def line(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Line]:
    monkeypatch.setattr("funcledger_event_log.http._SPREAD", 0.001)
    log, endpoint = await memory_log(), TestEndpoint()
    await say(log, endpoint.registered())
    async with (
        gateway_over(log, keep_alive=0.05) as parts,
        serving(parts.app, parts.door.close_feeds) as url,
        cutting(url) as (cut_url, proxy),
    ):
        agent = HttpEndpointLog(cut_url, endpoint.credential, keep_alive=0.05)
        await agent.identify()
        yield Line(log, endpoint, proxy, agent, url)
        await agent.close()


async def test_a_feed_cut_in_the_middle_of_frames_goes_on_without_gap_or_double(line: Line) -> None:
    """No connection lives to carry more than a few frames of ten tasks, and most end within one."""
    line.proxy.cut_after = lambda: 1_500 + 8_000 * (line.proxy.cuts % 6)
    tasks: list[Event] = [line.endpoint.submitted(bytes([n]) * (40 * n)) for n in range(60)]
    seen: list[Event] = []
    async with asyncio.timeout(scaled(10)):
        await say(line.log, *tasks[:10], partition=1)
        batches = line.agent.follow_tasks(0, credit=1000, credit_bytes=1 << 30)
        while len(seen) < len(tasks):
            batch = await anext(batches)
            seen += [record.event() for record in batch]
            if batch and len(seen) % 10 == 0:
                await say(line.log, *tasks[len(seen) : len(seen) + 10], partition=1)
        await batches.aclose()
    assert seen == tasks
    assert line.proxy.cuts >= 5


async def test_a_feed_that_falls_silent_is_cut_and_opened_again(line: Line) -> None:
    """Three keep-alives without a sign of life: a line that hangs looks just like an idle one."""
    task = line.endpoint.submitted()
    line.proxy.hang = True

    async def fall_silent() -> None:
        line.proxy.cut_after = lambda: 0
        await say(line.log, task, partition=1)
        await until(lambda: line.proxy.cuts)
        line.proxy.cut_after = lambda: math.inf

    async with asyncio.timeout(scaled(5)), asyncio.TaskGroup() as group:
        batches = line.agent.follow_tasks(0, credit=1000, credit_bytes=1 << 30)
        assert await anext(batches) == []
        group.create_task(fall_silent())
        while not (batch := await anext(batches)):
            pass
        assert [record.event() for record in batch] == [task]
        await batches.aclose()


async def test_a_feed_waits_for_a_gateway_that_is_away(line: Line) -> None:
    line.proxy.cut_after = lambda: 0
    async with asyncio.timeout(scaled(10)):
        batches = line.agent.follow_tasks(0, credit=9, credit_bytes=9)
        opened = asyncio.create_task(anext(batches))
        await until(lambda: line.proxy.cuts >= 2)
        line.proxy.cut_after = lambda: math.inf
        assert await opened == []
        await batches.aclose()


async def test_an_append_without_an_answer_has_an_unknown_outcome_and_may_be_sent_again(line: Line) -> None:
    start = line.endpoint.started()
    line.proxy.cut_after = lambda: 0
    with pytest.raises((OutcomeUnknown, LogUnavailable)):
        await line.agent.append([start])
    line.proxy.cut_after = lambda: math.inf
    assert await line.agent.append([start]) == [0]


async def test_a_finite_answer_that_is_cut_is_told_not_taken_for_the_whole(line: Line) -> None:
    await say(line.log, *[line.endpoint.submitted(b"x" * 9000) for _ in range(9)], partition=1)
    line.proxy.cut_after = lambda: 30_000
    with pytest.raises(LogUnavailable):
        await line.agent.fetch(list(range(9)))


async def test_a_credential_that_opens_nothing_is_given_up_at_once(line: Line) -> None:
    stranger = HttpEndpointLog(
        str(line.agent._client.base_url)[: -len("/v1/gateway/")], new_token(ENDPOINT_PREFIX)
    )
    for call in (stranger.identify(), anext(stranger.follow_tasks(0, credit=1, credit_bytes=1))):
        with pytest.raises(CredentialRefused):
            await call
    await stranger.close()


async def test_an_agent_without_a_gateway_is_told_that_nothing_was_sent() -> None:
    async with cutting("http://127.0.0.1:9") as (url, _):
        pass
    agent = HttpEndpointLog(url, new_token(ENDPOINT_PREFIX))
    with pytest.raises(LogUnavailable):
        await agent.append([TestEndpoint().started()])
    await agent.close()


async def test_the_environments_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clusters let nothing out but through their proxy."""
    asked: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    monkeypatch.setenv("NO_PROXY", "")
    agent = HttpEndpointLog("https://gateway.example", new_token(ENDPOINT_PREFIX))
    with pytest.raises(LogUnavailable, match="407"):
        await agent.identify()
    await agent.close()
    server.close()
    assert asked == [b"CONNECT gateway.example:443 HTTP/1.1\r\n"]


@pytest.mark.parametrize(
    ("slug", "error"),
    [
        ("unauthenticated", CredentialRefused),
        ("forbidden", CredentialRefused),
        ("fenced", Fenced),
        ("log-unavailable", LogUnavailable),
        ("log-full", LogFull),
        ("outcome-unknown", OutcomeUnknown),
        ("internal", OutcomeUnknown),
    ],
)
def test_the_gateways_answers_are_the_ports_errors(slug: str, error: type[Exception]) -> None:
    answer = Problem(slug, "why").response()
    assert type(http_errors.of_answer(answer.status_code, bytes(answer.body))) is error


@pytest.mark.parametrize("status", [401, 403, 404, 409, 502, 503])
def test_a_proxys_answer_says_nothing_of_the_credential_nor_of_the_outcome(status: int) -> None:
    assert type(http_errors.of_answer(status, b"<html>no</html>")) is OutcomeUnknown


def test_only_what_was_never_sent_is_known_to_have_done_nothing() -> None:
    assert type(http_errors.of_failure(httpx2.ConnectError("no"))) is LogUnavailable
    assert type(http_errors.of_failure(httpx2.ReadTimeout("late"))) is OutcomeUnknown


@pytest.mark.law(14)
async def test_an_answer_to_another_request_is_not_taken_and_its_connection_not_used_again() -> None:
    peers: list[str] = []

    def answer(asked: Asked, number: int) -> Reply:
        peers.append(asked.peer)
        name = asked.headers["Funcledger-Request"] if number not in (1, 3) else "somebody-else-7"
        return Reply(body=b'{"tasks": 5, "results": 6}', headers={"Funcledger-Request": name})

    with scripted(answer) as server:
        agent = HttpEndpointLog(server.url, "fle_x")
        assert await agent.ends() == (5, 6)
        with pytest.raises(LogUnavailable, match="to another request"):
            await agent.ends()
        assert await agent.ends() == (5, 6)
        with pytest.raises(OutcomeUnknown, match="to another request"):
            await agent.append([TestEndpoint().submitted()])
        await agent.close()
    assert peers[0] == peers[1] != peers[2] == peers[3]


@pytest.mark.law(14)
async def test_records_that_were_not_asked_for_are_not_taken() -> None:
    identity = {"endpoint_id": TestEndpoint().endpoint_id, "name": "lab", "owner": "ada", "partition": 1}
    record = Record("tasks", 1, 7, 0, b"", Brief("funcledger.events.TaskSubmitted:1"), b"")

    def answer(asked: Asked, _: int) -> Reply:
        if asked.path.endswith("/identity"):
            return Reply(body=json.dumps(identity).encode())
        return Reply(body=pack_feed([record], delimited=True))

    with scripted(answer) as server:
        agent = HttpEndpointLog(server.url, "fle_x")
        with pytest.raises(LogUnavailable, match="not asked for"):
            await agent.fetch([5])
        await agent.close()
