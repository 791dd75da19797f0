"""ATTACKS 33: another user of the machine, or a page that rebinds its name to our address, gets nowhere."""

import pytest
from fastapi import FastAPI
from tests.support.apps import app_of, client_of


@pytest.fixture
def app() -> FastAPI:
    return app_of(allowed_hosts=["127.0.0.1", "localhost", "[::1]"])


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.", "evil@127.0.0.1", "", "[::2]", "*"]
)
async def test_an_unknown_host_is_misdirected_even_with_the_token(app: FastAPI, host: str) -> None:
    """421 on every path, also the probes; the answer allows no other origin to read it."""
    async with client_of(app) as client:
        for path in ("/version", "/healthz", "/nothing"):
            response = await client.get(path, headers={"Host": host, "Origin": "http://evil.example"})
            assert response.status_code == 421, (host, path)
            assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8765", "LOCALHOST:1", "[::1]:8765", "localhost"])
async def test_a_known_host_answers_whatever_the_port(app: FastAPI, host: str) -> None:
    async with client_of(app) as client:
        assert (await client.get("/version", headers={"Host": host})).status_code == 200


async def test_two_hosts_are_none(app: FastAPI) -> None:
    async with client_of(app) as client:
        headers = [("Host", "localhost"), ("Host", "evil.example")]
        assert (await client.get("/version", headers=headers)).status_code == 421


async def test_a_known_host_without_the_token_gets_nothing(app: FastAPI) -> None:
    """Another user of the machine reaches the port, and no further."""
    async with client_of(app, token=None) as client:
        assert (await client.get("/version", headers={"Host": "localhost"})).status_code == 401


async def test_no_origin_is_ever_allowed(app: FastAPI) -> None:
    """No CORS: a browser gives a page of another origin no answer to read, and no preflight succeeds."""
    headers = {"Host": "localhost", "Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    async with client_of(app, token=None) as client:
        response = await client.request("OPTIONS", "/version", headers=headers)
    assert response.status_code == 401
    assert not [name for name in response.headers if name.startswith("access-control")]
