"""ATTACKS 17: a principal that asks too often is told when to come back, and nobody else notices."""

import time
from collections.abc import Iterator

import httpx2
import pytest
from fastapi import FastAPI
from tests.support.apps import ADA, BOB, ENDPOINT, app_of, client_of
from tests.support.clocks import Shifted
from tests.support.commands import slug_of
from tests.support.deadlines import scaled
from tests.support.server import serving

from funcledger import Client
from funcledger_schemas import clock
from funcledger_schemas.limits import REQUEST_BURST as BURST
from funcledger_schemas.limits import REQUEST_RATE as RATE
from funcledger_web.auth import Principal
from funcledger_web.rates import Rates


class Frozen(Shifted):
    """Time stands still but for what a test adds to ``monotonic``."""

    def monotonic_ns(self) -> int:
        return round(self.monotonic * 1e9)


@pytest.fixture
def now() -> Iterator[Frozen]:
    frozen = Frozen(monotonic=1000.0)
    with clock.running_on(frozen):
        yield frozen


ADA_HERSELF, BOB_HIMSELF = Principal("user", "ada"), Principal("user", "bob")


def passed(rates: Rates, who: Principal, requests: int) -> int:
    """How many of so many requests at once are let through."""
    return sum(rates.take(who) == 0 for _ in range(requests))


def test_a_burst_passes_then_the_rate_for_ever(now: Frozen) -> None:
    rates = Rates()
    assert passed(rates, ADA_HERSELF, 2 * BURST) == BURST
    for _ in range(5):
        now.monotonic += 1.0
        assert passed(rates, ADA_HERSELF, 2 * BURST) == pytest.approx(RATE, abs=1)
    now.monotonic += 3600.0
    assert passed(rates, ADA_HERSELF, 2 * BURST) == BURST


def test_what_a_refusal_says_to_wait_is_enough(now: Frozen) -> None:
    rates = Rates(rate=10, burst=3)
    assert passed(rates, ADA_HERSELF, 4) == 3
    wait = rates.take(ADA_HERSELF)
    assert wait == pytest.approx(0.1)
    now.monotonic += wait
    assert rates.take(ADA_HERSELF) == 0


def test_each_principal_has_a_rate_of_its_own_and_idle_ones_are_forgotten(now: Frozen) -> None:
    rates = Rates(rate=10, burst=3)
    passed(rates, ADA_HERSELF, 10)
    assert passed(rates, BOB_HIMSELF, 10) == 3
    for number in range(30_000):
        rates.take(Principal("user", str(number)))
        now.monotonic += 0.001
    assert len(rates._full_at) <= 10_000
    assert Rates(rate=0).take(ADA_HERSELF) == 0


def test_a_request_costs_less_than_some_microseconds() -> None:
    rates = Rates()
    begun = time.process_time()
    for _ in range(100_000):
        rates.take(BOB_HIMSELF)
    assert (time.process_time() - begun) / 100_000 < scaled(5e-6)  # 0.6 µs where nothing else runs


@pytest.fixture
async def app() -> FastAPI:
    return app_of(allowed_hosts=["*"], rates=Rates(rate=20, burst=5))


async def asked(app: FastAPI, token: str, requests: int) -> list[httpx2.Response]:
    async with client_of(app, token) as client:
        return [await client.get("/version") for _ in range(requests)]


async def test_row_17_beyond_the_rate_is_429_with_retry_after_and_others_are_unaffected(
    app: FastAPI, now: Frozen
) -> None:
    answers = await asked(app, ADA, 8)
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 3
    assert slug_of(answers[-1]) == "too-many-requests"
    assert "20 requests a second" in answers[-1].json()["detail"]
    assert answers[-1].headers["Retry-After"] == "1"
    assert [answer.status_code for answer in await asked(app, BOB, 5)] == [200] * 5
    # An agent speaks for all users of its endpoint.
    assert [answer.status_code for answer in await asked(app, ENDPOINT, 50)] == [200] * 50
    assert (await asked(app, ENDPOINT, 1))[0].status_code == 429


async def test_row_17_a_wrong_token_takes_nothing_from_anybody(app: FastAPI, now: Frozen) -> None:
    assert {answer.status_code for answer in await asked(app, "flu_" + "x" * 43, 50)} == {401}
    assert (await asked(app, ADA, 1))[0].status_code == 200


async def test_row_17_the_sdk_waits_by_itself(app: FastAPI) -> None:
    """More requests than the burst: none fails, they only take their time."""
    import asyncio

    def ask(url: str) -> list[object]:
        with Client(url, ADA) as client:
            return [client.transport.get("/version")["version"] for _ in range(12)]

    async with serving(app) as url:
        assert len(await asyncio.to_thread(ask, url)) == 12
