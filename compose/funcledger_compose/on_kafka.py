"""The log on Kafka as settings name it: for services, and for endpoints that read it themselves.

An endpoint is not installed with what services need, so nothing of theirs is imported here.
"""

import dataclasses
from typing import TYPE_CHECKING

from funcledger_compose.main import require
from funcledger_compose.settings import Secret, Settings, SettingsError
from funcledger_event_log.port import EventLog

if TYPE_CHECKING:
    from funcledger_event_log.kafka import KafkaSettings


async def kafka_log(settings: Settings, gather: float = 0.0) -> EventLog:
    """The log on Kafka, once the schemas are registered where a registry is named.

    Raises:
        SettingsError: the registry refuses them, or cannot be reached; or no client can be made as set.
    """
    require("kafka", "the log on Kafka")
    from funcledger_event_log.kafka import KafkaLog

    known = usable_kafka_settings(settings)
    return KafkaLog(dataclasses.replace(known, schema_ids=await schema_ids(settings), gather=gather))


async def schema_ids(settings: Settings) -> dict[str, int]:
    """An external registry's ids, none where there is no such registry.

    Raises:
        SettingsError: it refuses our schemas, or cannot be reached.
    """
    from funcledger_event_log.kafka.registry import RegistryRefused, RegistryUnavailable, register

    if not settings.schema_registry_url:
        return {}
    try:
        return await register(settings.schema_registry_url.reveal(), settings.kafka_topic_prefix)
    except (RegistryRefused, RegistryUnavailable) as error:
        raise SettingsError(str(error)) from error


def kafka_settings(settings: Settings) -> "KafkaSettings":
    """How to reach the cluster."""
    from funcledger_event_log.kafka import KafkaSettings

    return KafkaSettings(
        settings.kafka_bootstrap,
        prefix=settings.kafka_topic_prefix,
        replication=settings.kafka_replication,
        security=_security(settings),
    )


def usable_kafka_settings(settings: Settings) -> "KafkaSettings":
    """The same, of which clients can be made.

    Raises:
        SettingsError: they cannot; the cluster was not asked yet.
    """
    from funcledger_event_log.kafka import KafkaSettingsRefused

    known = kafka_settings(settings)
    try:
        known.check()
    except KafkaSettingsRefused as error:
        raise SettingsError(
            f"the settings for Kafka cannot be used: {error}. See FUNCLEDGER_KAFKA_* (docs/production.md)"
        ) from error
    return known


def _security(settings: Settings) -> dict[str, str]:
    """librdkafka's names for what is set."""
    given: dict[str, str | Secret] = {
        "security.protocol": settings.kafka_security_protocol,
        "sasl.mechanism": settings.kafka_sasl_mechanism,
        "sasl.username": settings.kafka_sasl_username,
        "sasl.password": settings.kafka_sasl_password,
        "ssl.ca.location": settings.kafka_ssl_ca_location,
        "ssl.certificate.location": settings.kafka_ssl_certificate_location,
        "ssl.key.location": settings.kafka_ssl_key_location,
        "ssl.key.password": settings.kafka_ssl_key_password,
    }
    return {
        name: value.reveal() if isinstance(value, Secret) else value for name, value in given.items() if value
    }
