"""Consumers of a log on Kafka where the client library makes none for a moment."""

import asyncio

import pytest
from tests.support.deadlines import scaled
from tests.support.logs import at

from funcledger_event_log.kafka import KafkaSettings
from funcledger_event_log.kafka.lanes import LANES, Lanes
from funcledger_event_log.port import LogUnavailable


async def test_lanes_that_cannot_be_made_take_nobodys_place() -> None:
    lanes = Lanes(
        KafkaSettings(
            "nowhere:1", security={"security.protocol": "SSL", "ssl.ca.location": "/nowhere/ca.pem"}
        )
    )
    async with asyncio.timeout(scaled(10)):
        for _ in range(LANES + 1):
            with pytest.raises(LogUnavailable, match="no client can be made"):
                await lanes.batch(at(), 0, 1, 1)
    lanes.close()
