"""How to reach a Kafka cluster, and what every client of ours asks of it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from funcledger_schemas.limits import RECORD_LIMIT

#: Where the client library's own lines go.
_LOGGER = logging.getLogger("funcledger_event_log.kafka.client")
#: Record limit and what batching and framing add to it, for client, topic and broker alike.
MESSAGE_BYTES = RECORD_LIMIT + 64 * 1024
#: Milliseconds that heartbeats are kept: of each endpoint only the newest counts.
HEARTBEATS_KEPT = 86_400_000
#: Copies of a topic where there are brokers enough, unless another number is asked for.
COPIES = 3
#: Seconds after which an unacknowledged record is given up as of unknown outcome.
DELIVERY_TIMEOUT = 10.0
#: So many bytes are handed over at once, also where records may gather.
_GATHERED = 64 << 10


class KafkaSettingsRefused(ValueError):
    """Raised when the client library takes no such settings; the message says which, and no password."""


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Bootstrap servers, a prefix for topics and groups, replication of new topics, and security.

    Without a ``replication`` new topics get as many copies as there are brokers, three at most.
    ``security`` is passed through to librdkafka: ``security.protocol``, ``sasl.mechanism``,
    ``sasl.username``, ``sasl.password``, ``ssl.ca.location`` and their kin. ``schema_ids`` are an external
    schema registry's, by ``ce_dataschema``; without them records carry our own. ``gather`` is for how many
    seconds the broker may let new records gather before it hands them to this process's followers; to those
    of functions and endpoints alone it hands them at once.
    """

    bootstrap: str
    prefix: str = "funcledger."
    replication: int | None = None
    delivery_timeout: float = DELIVERY_TIMEOUT
    security: Mapping[str, str] = field(default_factory=dict, repr=False)
    schema_ids: Mapping[str, int] = field(default_factory=dict, repr=False)
    gather: float = 0.0

    def topic(self, name: str) -> str:
        """The name of one of our topics in the cluster."""
        return self.prefix + name

    def group(self, consumer: str) -> str:
        """The name in the cluster of one of our consumers."""
        return self.prefix + consumer

    def client(self) -> dict[str, Any]:
        """Settings every client shares."""
        return {
            "bootstrap.servers": self.bootstrap,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1000,
            "socket.keepalive.enable": True,
            "logger": _LOGGER,
            **self.security,
        }

    def check(self) -> None:
        """See that clients can be made of them; the cluster is not asked.

        Raises:
            KafkaSettingsRefused: they cannot, as with a mechanism but no user name, or an unreadable file.
        """
        try:
            AdminClient(self.client())
        except KafkaException as error:
            raise KafkaSettingsRefused(error.args[0].str()) from error

    def admin(self) -> dict[str, Any]:
        """For questions about the cluster.

        Of this client no error makes it look who leads now: after a broker's restart it would ask with what
        it knew before, and be refused, until its next look at the cluster, by default for five minutes.
        """
        return self.client() | {"topic.metadata.refresh.interval.ms": 2_000}

    def producer(self) -> dict[str, Any]:
        """Acknowledged by all in-sync replicas, idempotent; batches form while one is under way."""
        return self.client() | {
            "acks": "all",
            "enable.idempotence": True,
            # What is produced in one go leaves in few requests: a fifth less work for the broker and for us.
            "linger.ms": 0.3,
            "compression.type": "lz4",
            "message.max.bytes": MESSAGE_BYTES,
            "delivery.timeout.ms": int(self.delivery_timeout * 1000),
            # The writer keeps its own, lower bound, by which a request is taken as a whole or not at all.
            "queue.buffering.max.messages": 2_000_000,
            "queue.buffering.max.kbytes": 1024 * 1024,
        }

    def consumer(self, consumer: str) -> dict[str, Any]:
        """Positions are ours to keep: nothing is committed, or reset, behind our back."""
        return self.client() | {
            "group.id": self.group(consumer),
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            # Of a record that is larger the broker sends the one, whole.
            "fetch.message.max.bytes": 1 << 20,
            # A partition that joins waits for the request under way, which this bounds.
            "fetch.wait.max.ms": 100,
            "fetch.queue.backoff.ms": 10,
            "fetch.error.backoff.ms": 50,
            "queued.max.messages.kbytes": 8 * 1024,
            "queued.min.messages": 5_000,
        }

    def follower(self, *, gathers: bool) -> dict[str, Any]:
        """For a consumer of what is new."""
        gathering = {"fetch.min.bytes": _GATHERED, "fetch.wait.max.ms": int(self.gather * 1000)}
        return self.consumer("reader") | (gathering if gathers else {})

    def member(self, consumer: str, session_timeout: float) -> dict[str, Any]:
        """For a member of a group that divides partitions and fetches nothing."""
        return self.client() | {
            "group.id": self.group(consumer),
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": int(session_timeout * 1000),
            "heartbeat.interval.ms": int(session_timeout * 1000 / 4),
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            # New partitions are noticed, and divided, this often.
            "topic.metadata.refresh.interval.ms": 5_000,
        }

    def copies(self, brokers: int) -> int:
        """How many a new topic gets in a cluster of so many brokers."""
        return self.replication or min(COPIES, brokers)

    def topic_config(self, topic: str, copies: int) -> dict[str, str]:
        """Settings of a new topic: the append time is the broker's, and nothing expires but heartbeats.

        Of positions, which are not part of the record, only the newest are kept.
        """
        compacted = {"cleanup.policy": "compact", "segment.bytes": str(16 << 20)}
        return {
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(MESSAGE_BYTES),
            "retention.ms": str(HEARTBEATS_KEPT) if topic == "heartbeats" else "-1",
            "cleanup.policy": "delete",
            "min.insync.replicas": str(max(1, copies - 1)),
        } | (compacted if topic == "positions" else {})
