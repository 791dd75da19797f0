"""ATTACKS 3 and 4: a token opens what its scopes say; an endpoint's credential opens no user's route."""

from tests.support.apps import ENDPOINT, READER, routes_of
from tests.support.commands import command_side


async def test_a_reader_and_an_endpoint_can_command_nothing() -> None:
    """Every route of the command side refuses both with 403, whatever is sent."""
    async with command_side() as side:
        commands = [each for each in routes_of(side.app) if each[1].startswith("/v1/")]
        assert len(commands) > 8, "the walk found no routes"
        for token in (READER, ENDPOINT):
            async with side.as_user(token) as client:
                for method, path in commands:
                    response = await client.request(method, path)
                    assert response.status_code == 403, (token[:4], method, path, response.text)
        assert [topic for topic in ("functions", "endpoints", "tasks") if await side.records(topic)] == []
