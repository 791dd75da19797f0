"""The log on Kafka: production, and wherever one machine is not enough."""

from funcledger_event_log.kafka.log import KafkaLog
from funcledger_event_log.kafka.settings import KafkaSettings, KafkaSettingsRefused

__all__ = ["KafkaLog", "KafkaSettings", "KafkaSettingsRefused"]
