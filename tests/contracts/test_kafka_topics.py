"""Topics as they are made on the real broker are topics as services want them."""

import pytest
from tests.support import parts

from funcledger_compose.settings import Settings, load
from funcledger_compose.topics import check, look, make
from funcledger_event_log.kafka.positions import POSITIONS
from funcledger_schemas.envelope import TOPICS
from funcledger_schemas.ids import new_id

pytestmark = pytest.mark.distributed


@pytest.fixture
def settings() -> Settings:
    environ = {"BOOTSTRAP": parts.kafka().address, "TOPIC_PREFIX": f"t{new_id()}."}
    return load(environ={f"FUNCLEDGER_KAFKA_{name}": value for name, value in environ.items()})


async def test_topics_that_nobody_said_more_of_have_what_one_broker_can_keep_and_suit_us(
    settings: Settings,
) -> None:
    missing, found = await look(settings)
    assert not any(state.partitions for state in missing)
    assert [finding.fatal for finding in found] == [True] * len(TOPICS) + [False]
    await make(settings, 2)
    states, found = await look(settings)
    assert found == []
    assert [state.topic for state in states] == [*TOPICS, POSITIONS]
    assert {(state.replication, state.config["min.insync.replicas"]) for state in states} == {(1, "1")}
    await check(settings)
