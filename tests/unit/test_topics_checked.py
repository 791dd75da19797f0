"""What a service makes of the topics it finds: warns of what could be better, refuses what loses events."""

import logging
from collections.abc import Iterable

import pytest

from funcledger_compose import topics
from funcledger_compose.settings import Settings, SettingsError, load
from funcledger_event_log.kafka.cluster import TopicState
from funcledger_event_log.kafka.settings import KafkaSettings


class _Cluster:
    """Three brokers, and our topics with one copy each, some of them missing."""

    missing: frozenset[str] = frozenset()

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    async def topics(self, topics: Iterable[str]) -> list[TopicState]:
        return [self._state(topic) for topic in topics]

    def _state(self, topic: str) -> TopicState:
        partitions = 0 if topic in self.missing else 1
        config = self._settings.topic_config(topic, 1)
        return TopicState(topic, self._settings.topic(topic), partitions, partitions, config)

    async def brokers(self) -> int:
        return 3


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(topics, "Cluster", _Cluster)
    return load(environ={})


async def test_a_service_warns_of_too_few_copies_and_starts(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        await topics.check(settings)
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    for topic in ("tasks", "results", "positions"):
        (said,) = [each for each in warned if each.startswith(f"funcledger.{topic} ")]
        assert "has 1 of the 3 copies that 3 brokers can keep" in said


async def test_positions_that_are_missing_are_told_and_keep_nothing_from_starting(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Cluster, "missing", frozenset({"positions"}))
    await topics.check(settings)
    assert "there is no topic funcledger.positions; make it: funcledger topics create" in caplog.text


async def test_a_topic_of_events_that_is_missing_keeps_a_service_from_starting(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Cluster, "missing", frozenset({"audit"}))
    with pytest.raises(SettingsError, match=r"no topic funcledger\.audit"):
        await topics.check(settings)
