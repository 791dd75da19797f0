"""The axes of scenarios: all in one process, or services apart, with endpoints that reach the log either way.

``tests/axes.toml`` names what leaves an axis out, and why.
"""

import functools
import tomllib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Protocol

import pytest
from tests.support import distributed, logs, parts
from tests.support.endpoint import PARTITION, Endpoint
from tests.support.endpoints import TestEndpoint, gateway_over, say
from tests.support.server import serving
from tests.support.service import service

from funcledger import Client
from funcledger_event_log.http import HttpEndpointLog
from funcledger_event_log.kafka import KafkaLog, KafkaSettings
from funcledger_event_log.port import EventLog
from funcledger_schemas.envelope import BY_ENDPOINT, TOPICS
from funcledger_schemas.ids import new_id

EMBEDDED, GATEWAY, DIRECT = "embedded", "distributed-gateway", "distributed-direct"
AXES = (EMBEDDED, GATEWAY, DIRECT)
#: The same as parameters of a fixture.
PARAMS = [pytest.param(axis, marks=[pytest.mark.distributed] if axis != EMBEDDED else []) for axis in AXES]
_LEFT_OUT = Path(__file__).parents[1] / "axes.toml"


def left_out() -> Mapping[str, Mapping[str, str]]:
    """Per axis, the tests that leave it out, and why."""
    found: dict[str, dict[str, str]] = {axis: {} for axis in AXES}
    for group in tomllib.loads(_LEFT_OUT.read_text())["left_out"]:
        for axis in group["axes"]:
            found[axis] |= {f"{group['module']}::{test}": group["why"] for test in group["tests"]}
    return found


class Running(Protocol):
    """A deployment whatever its axis, with a user of its own."""

    url: str
    token: str
    other_token: str

    def client(self, token: str | None = None) -> Client: ...

    def endpoint(self, name: str = "lab", workers: int = 2) -> AbstractContextManager[str]: ...

    def agent(self, name: str, credential: str, workers: int = 2) -> AbstractContextManager[object]: ...


@contextmanager
def running(axis: str, folder: Path) -> Iterator[Running]:
    """A deployment with the endpoint ``lab``."""
    if axis == EMBEDDED:
        with service(folder=folder) as started, started.endpoint("lab"):
            yield started
        return
    deployment = distributed.Deployment(distributed.shared(), folder, direct=axis == DIRECT)
    with deployment.endpoint("lab"):
        yield deployment


@contextmanager
def running_with_backlog(axis: str, folder: Path, tasks: int) -> Iterator[Running]:
    """A deployment whose endpoints may have so many unfinished tasks; it has no endpoint yet."""
    if axis == EMBEDDED:
        with service(folder=folder, backlog=tasks) as started:
            yield started
        return
    stack = distributed.shared()
    with distributed.door_with_backlog(stack, folder, tasks) as url:
        yield distributed.Deployment(stack, folder, direct=axis == DIRECT, url=url)


@asynccontextmanager
async def endpoint_on(axis: str, folder: Path) -> AsyncIterator[Endpoint]:
    """An endpoint whose agent reaches the log in the way of the axis."""
    if axis == EMBEDDED:
        async with logs.sqlite(folder) as embedded:
            yield await Endpoint.create(embedded)
        return
    log = KafkaLog(KafkaSettings(parts.kafka().address, prefix=_prefix()))
    try:
        for topic in TOPICS:
            await log.create_topic(topic, PARTITION + 1 if topic in BY_ENDPOINT else 1)
        if axis == DIRECT:
            yield Endpoint(log)
            return
        async with _through_gateway(log) as endpoint:
            yield endpoint
    finally:
        await log.close()


@asynccontextmanager
async def _through_gateway(log: EventLog) -> AsyncIterator[Endpoint]:
    known = TestEndpoint(partition=PARTITION)
    await say(log, known.registered())
    async with gateway_over(log) as gateway, serving(gateway.app, gateway.door.close_feeds) as url:
        view = HttpEndpointLog(url, known.credential)
        try:
            yield Endpoint(log, known.endpoint_id, view)
        finally:
            await view.close()


@functools.cache
def _prefix() -> str:
    """One set of topics for a run: the endpoints of all tests share a partition, and do not notice."""
    return f"t{new_id()}."
