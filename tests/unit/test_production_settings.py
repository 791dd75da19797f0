"""Settings of services apart: what reaches the client library, who may come in, and what stays secret."""

import re
from pathlib import Path

import pytest

from funcledger_compose.on_kafka import kafka_settings, usable_kafka_settings
from funcledger_compose.settings import Secret, Settings, SettingsError, load
from funcledger_compose.users import users_of
from funcledger_event_log.kafka.cluster import TopicState, findings
from funcledger_event_log.kafka.positions import POSITIONS
from funcledger_event_log.kafka.settings import MESSAGE_BYTES, KafkaSettings
from funcledger_schemas.envelope import TOPICS
from funcledger_web.tokens import ENDPOINT_PREFIX, USER_PREFIX, digest, new_token

SASL = {
    "FUNCLEDGER_KAFKA_BOOTSTRAP": "one:9093,two:9093",
    "FUNCLEDGER_KAFKA_TOPIC_PREFIX": "lab.",
    "FUNCLEDGER_KAFKA_REPLICATION": "3",
    "FUNCLEDGER_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "FUNCLEDGER_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "FUNCLEDGER_KAFKA_SASL_USERNAME": "funcledger",
    "FUNCLEDGER_KAFKA_SASL_PASSWORD": "a password",
    "FUNCLEDGER_KAFKA_SSL_CA_LOCATION": "/etc/ssl/ca.pem",
    "FUNCLEDGER_MONGO_URI": "mongodb://me:a password@db/",
}


def test_sasl_and_tls_are_passed_through_to_every_client() -> None:
    settings = kafka_settings(load(environ=SASL))
    expected = {
        "bootstrap.servers": "one:9093,two:9093",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "funcledger",
        "sasl.password": "a password",
        "ssl.ca.location": "/etc/ssl/ca.pem",
    }
    for client in (settings.client(), settings.producer(), settings.consumer("a"), settings.member("b", 6.0)):
        assert client.items() >= expected.items()
        assert "ssl.key.location" not in client, "what is not set is not passed on"
    assert settings.topic("tasks") == "lab.tasks"
    assert settings.topic_config("tasks", settings.copies(5))["min.insync.replicas"] == "2"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"SECURITY_PROTOCOL": "SASL"}, "security.protocol"),
        ({"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "SASL_MECHANISM": "SCRAM-SHA-512"}, "sasl.username"),
        ({"SECURITY_PROTOCOL": "SSL", "SSL_CA_LOCATION": "/nowhere/ca.pem"}, "ssl.ca.location"),
    ],
)
def test_settings_that_no_client_can_be_made_of_are_named(wrong: dict[str, str], named: str) -> None:
    environ = {f"FUNCLEDGER_KAFKA_{name}": value for name, value in wrong.items()}
    with pytest.raises(SettingsError, match=f"settings for Kafka cannot be used.*{named}"):
        usable_kafka_settings(load(environ=environ))


def test_no_password_shows_in_anything_printed() -> None:
    settings = load(environ=SASL)
    assert "a password" not in repr(settings) + str(settings) + repr(kafka_settings(settings))
    assert settings.mongo_uri.reveal() == SASL["FUNCLEDGER_MONGO_URI"]
    assert repr(Secret()) == "Secret()"


def test_what_a_compose_file_leaves_empty_is_not_set() -> None:
    assert load(environ={"FUNCLEDGER_KAFKA_BOOTSTRAP": "", "FUNCLEDGER_TOKENS": ""}) == load(environ={})


@pytest.mark.parametrize(
    ("name", "value"), [("LOG", "paper"), ("READ_MODELS", "x"), ("KAFKA_REPLICATION", "0")]
)
def test_a_setting_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name.lower().partition("_")[0]):
        load(environ={f"FUNCLEDGER_{name}": value})


def told(**given: str) -> Settings:
    return load(environ={f"FUNCLEDGER_{name.upper()}": value for name, value in given.items()})


def test_users_are_known_by_tokens_or_their_hashes(tmp_path: Path) -> None:
    ada, bob, eve = (new_token(USER_PREFIX) for _ in range(3))
    file = tmp_path / "tokens"
    file.write_text(f"# who may come in\nada = {ada}\n\nbob={digest(bob)}  # since May\n")
    file.chmod(0o600)
    users = users_of(told(tokens_file=str(file), tokens=f"eve={digest(eve)}"))
    assert {users[digest(token)].id for token in (ada, bob, eve)} == {"ada", "bob", "eve"}
    assert len(users) == 3
    assert {each.kind for each in users.values()} == {"user"}


def test_a_tokens_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("")
    file.chmod(0o640)
    with pytest.raises(SettingsError, match=r"open to others \(mode 0640\).*chmod 600"):
        users_of(told(tokens_file=str(file)))
    with pytest.raises(SettingsError, match="No such file"):
        users_of(told(tokens_file=str(tmp_path / "gone")))


@pytest.mark.parametrize(
    "line",
    ["ada", "ada=secret", "a b=" + "0" * 64, "ada=" + new_token(ENDPOINT_PREFIX)],
    ids=["no digest", "a short one", "no name", "the token itself"],
)
def test_an_entry_that_cannot_be_read_is_counted_and_never_quoted(line: str) -> None:
    with pytest.raises(SettingsError, match="entry 2 of FUNCLEDGER_TOKENS") as refused:
        users_of(told(tokens=f"bob={'0' * 64},{line}"))
    assert line not in str(refused.value)


@pytest.mark.parametrize(
    ("asked", "brokers", "copies", "in_sync"),
    [
        ("", 1, 1, "1"),
        ("", 2, 2, "1"),
        ("", 3, 3, "2"),
        ("", 9, 3, "2"),
        ("1", 3, 1, "1"),
        ("4", 3, 4, "3"),
    ],
)
def test_new_topics_have_as_many_copies_as_asked_for_or_as_there_are_brokers_at_most_three(
    asked: str, brokers: int, copies: int, in_sync: str
) -> None:
    settings = kafka_settings(told(kafka_replication=asked))
    assert settings.copies(brokers) == copies
    assert settings.topic_config("tasks", copies)["min.insync.replicas"] == in_sync


def state(topic: str, copies: int = 3, **config: str) -> TopicState:
    settings = KafkaSettings("nowhere")
    named = {name.replace("_", "."): value for name, value in config.items()}
    return TopicState(topic, settings.topic(topic), 4, copies, settings.topic_config(topic, copies) | named)


@pytest.mark.parametrize(("copies", "brokers"), [(1, 1), (2, 2), (3, 3), (3, 5), (3, 2)])
def test_topics_as_we_make_them_leave_nothing_to_say(copies: int, brokers: int) -> None:
    assert findings([state(topic, copies) for topic in (*TOPICS, POSITIONS)], brokers) == []


@pytest.mark.parametrize(
    ("found", "says", "fatal"),
    [
        (state("tasks", max_message_bytes="1048588"), f"set max.message.bytes={MESSAGE_BYTES}", True),
        (state("tasks", message_timestamp_type="CreateTime"), "LogAppendTime", True),
        (state("endpoints", cleanup_policy="compact"), "compacted", True),
        (state("functions", retention_ms="604800000"), "retention.ms=-1", True),
        (state("results", min_insync_replicas="1"), "min.insync.replicas=2", False),
        (
            state("tasks", 1),
            "has 1 of the 3 copies that 4 brokers can keep.*kafka-reassign-partitions",
            False,
        ),
        (state(POSITIONS, 2, min_insync_replicas="2"), "has 2 of the 3 copies", False),
        (state(POSITIONS, message_timestamp_type="CreateTime"), "LogAppendTime", True),
        (state(POSITIONS, cleanup_policy="delete"), "cleanup.policy=compact", False),
    ],
)
def test_a_topic_that_does_not_suit_us_is_named_with_what_to_do(
    found: TopicState, says: str, fatal: bool
) -> None:
    (finding,) = findings([found], 4)
    assert re.search(says, finding.text)
    assert f"funcledger.{found.topic}" in finding.text
    assert finding.fatal is fatal
