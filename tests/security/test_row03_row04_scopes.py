"""ATTACKS 3 and 4: a token opens what its scopes say; an endpoint's opens the gateway alone."""

import pytest
from fastapi import FastAPI
from tests.support.apps import ADA, ENDPOINT, READER, client_of, routes_of
from tests.support.whole import whole_app

GATEWAY = "/v1/gateway/"


@pytest.fixture
async def app() -> FastAPI:
    return await whole_app()


async def _forbidden(app: FastAPI, token: str, routes: list[tuple[str, str]]) -> None:
    assert routes, "the walk found no routes"
    async with client_of(app, token) as client:
        for method, path in routes:
            response = await client.request(method, path)
            assert response.status_code == 403, (method, path, response.text)


async def test_row_03_a_token_that_may_read_tasks_can_command_nothing(app: FastAPI) -> None:
    changing = [each for each in routes_of(app) if each[0] in ("POST", "PUT", "DELETE", "PATCH")]
    reading = ("/v1/results", "/v1/results/stream", "/v1/results/stream/stream_id")
    assert {path for _, path in changing} >= set(reading)
    await _forbidden(app, READER, [each for each in changing if each[1] not in reading])


async def test_row_04_an_endpoints_credential_opens_no_users_route(app: FastAPI) -> None:
    users = [each for each in routes_of(app) if each[1].startswith("/v1/") and GATEWAY not in each[1]]
    await _forbidden(app, ENDPOINT, users)


async def test_row_04_a_users_token_opens_nothing_of_the_gateway(app: FastAPI) -> None:
    await _forbidden(app, ADA, [each for each in routes_of(app) if each[1].startswith(GATEWAY)])
