"""ATTACKS 1: no route answers without a valid token, and no answer tells why a token is not valid."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI
from tests.support.apps import ADA, client_of, routes_of
from tests.support.whole import whole_app

from funcledger_web.tokens import USER_PREFIX, TokenTable, new_token, well_formed

OPEN = {("GET", "/healthz"), ("HEAD", "/healthz"), ("GET", "/readyz"), ("HEAD", "/readyz")}
BAD_HEADERS: dict[str, list[tuple[str, str]]] = {
    "absent": [],
    "empty": [("Authorization", "")],
    "no scheme": [("Authorization", ADA)],
    "another scheme": [("Authorization", f"Basic {ADA}")],
    "no token": [("Authorization", "Bearer ")],
    "malformed": [("Authorization", "Bearer flu_short")],
    "wrong": [("Authorization", f"Bearer {new_token(USER_PREFIX)}")],
    "one letter changed": [("Authorization", f"Bearer {ADA[:-1]}{'A' if ADA[-1] != 'A' else 'B'}")],
    "a letter more": [("Authorization", f"Bearer {ADA}x")],
    "two headers": [("Authorization", f"Bearer {ADA}"), ("Authorization", f"Bearer {ADA}")],
    "huge": [("Authorization", "Bearer " + "x" * 10_000)],
}


@pytest.fixture
async def app() -> FastAPI:
    return await whole_app()


async def _all_answers(
    app: FastAPI, headers: list[tuple[str, str]]
) -> dict[tuple[str, str], httpx2.Response]:
    async with client_of(app, token=None) as client:
        asked = [*routes_of(app), ("GET", "/nothing/here"), ("POST", "/v1"), ("DELETE", "/v1/tasks")]
        return {(method, path): await client.request(method, path, headers=headers) for method, path in asked}


@pytest.mark.parametrize("kind", BAD_HEADERS)
async def test_every_route_but_the_probes_answers_401_with_one_and_the_same_body(
    app: FastAPI, kind: str
) -> None:
    """Also paths that do not exist: without a token nobody learns which do."""
    answers = await _all_answers(app, BAD_HEADERS[kind])
    assert len(answers) > 35, "the walk found no routes"
    assert {asked for asked, answer in answers.items() if answer.status_code == 200} == OPEN
    refused = [answer for asked, answer in answers.items() if asked not in OPEN]
    assert {answer.status_code for answer in refused} == {401}
    assert {answer.headers["WWW-Authenticate"] for answer in refused} == {"Bearer"}
    reference = (await _all_answers(app, []))["GET", "/version"].content
    assert {answer.content for answer in refused} == {reference}


async def test_nothing_of_a_body_is_read_before_the_token_is_checked(app: FastAPI) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield b"x" * 1000

    async with client_of(app, token=None) as client:
        assert (await client.post("/v1/tasks", content=body())).status_code == 401
    assert read == 0


async def test_a_revoked_token_opens_nothing() -> None:
    """A table without it is all there is to revoking: nothing of a token is remembered elsewhere."""
    assert await TokenTable({}).authenticate(ADA) is None


def test_tokens_hold_256_random_bits_behind_a_prefix() -> None:
    tokens = {new_token(USER_PREFIX) for _ in range(100)}
    assert len(tokens) == 100
    assert all(well_formed(token) and token.startswith("flu_") and len(token) == 47 for token in tokens)
