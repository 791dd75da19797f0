"""The compose files: what starts, with or without a container engine, and what we promise of them."""

from pathlib import Path

import pytest
import yaml

from funcledger_compose.native.build import RECIPES
from funcledger_compose.native.composed import ORDINARY_SHARES, ComposeError, services
from funcledger_compose.native.stack import Stack
from funcledger_compose.roles import ROLES
from funcledger_compose.settings import Settings
from funcledger_event_log.kafka.settings import MESSAGE_BYTES
from funcledger_schemas import tracing

FOLDER = RECIPES.parent
BASE, HA, REGISTRY = (FOLDER / f"compose{part}.yaml" for part in ("", ".ha", ".registry"))
#: Settings by which services reach what is not in the file.
_ACCESS = [
    f"FUNCLEDGER_{name.upper()}"
    for name in Settings.__struct_fields__
    if name.startswith(("kafka_b", "kafka_repl", "kafka_sec", "kafka_sasl", "kafka_ssl", "mongo_uri", "log_"))
]
TOKENS = {"FUNCLEDGER_TOKENS": "ada=" + "0" * 64}


def test_every_service_is_there_twice_and_starts_after_what_it_needs() -> None:
    found = services([BASE], TOKENS)
    assert {name: found[name].replicas for name in ROLES} == dict.fromkeys(ROLES, 2)
    assert all(found[role].command == ["serve", role] for role in ROLES)
    order = list(found)
    assert all(order.index("topics") < order.index(role) < len(order) for role in ROLES)
    assert order.index("kafka") < order.index("topics")
    assert order[-1] == "door"


def test_tasks_have_the_processors_before_the_read_models() -> None:
    found = services([BASE], TOKENS)
    weights = {name: service.cpu_shares for name, service in found.items()}
    assert weights["mongo"] == weights["projectors"] == ORDINARY_SHARES // 4
    assert {weights[name] for name in weights.keys() - {"mongo", "projectors"}} == {ORDINARY_SHARES}
    told = services([BASE], TOKENS | {"FUNCLEDGER_READ_MODEL_SHARES": "1024"})
    assert {service.cpu_shares for service in told.values()} == {ORDINARY_SHARES}


def test_every_setting_that_the_files_name_is_one_of_ours() -> None:
    ours = {f"FUNCLEDGER_{name.upper()}" for name in Settings.__struct_fields__} | {tracing.SETTING}
    for file in ([BASE], [BASE, HA], [BASE, REGISTRY]):
        for service in services(file, TOKENS).values():
            assert {name for name in service.environment if name.startswith("FUNCLEDGER_")} <= ours


def test_one_image_is_built_once_and_serves_all() -> None:
    """Several builds of one name at a time get in each other's way."""
    raw = yaml.safe_load(BASE.read_text())["services"]
    assert [name for name, service in raw.items() if "build" in service] == ["topics"]
    ours = [service for service in services([BASE], TOKENS).values() if service.ours]
    assert {service.name for service in ours} == {*ROLES, "topics"}
    assert {service.image for service in ours} == {"funcledger:latest"}
    assert all(raw[name]["depends_on"]["topics"] for name in ROLES)


def test_clusters_and_accounts_of_ones_own_need_no_other_file() -> None:
    given = {name: f"a {name}" for name in _ACCESS}
    for role in ROLES:
        environment = services([BASE], TOKENS | given)[role].environment
        assert {name: environment[name] for name in _ACCESS} == given


def test_brokers_take_the_largest_records_and_make_no_topic_by_themselves() -> None:
    for files in ([BASE], [BASE, HA]):
        brokers = [each for each in services(files, TOKENS).values() if each.image.startswith("apache/kafka")]
        assert len(brokers) == (3 if HA in files else 1)
        for broker in brokers:
            assert int(broker.environment["KAFKA_MESSAGE_MAX_BYTES"]) == MESSAGE_BYTES
            assert broker.environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_what_is_started_here_is_not_sent_to_clusters_elsewhere(tmp_path: Path) -> None:
    """Of ``make up-distributed`` in a shell that has settings for another deployment."""
    plain = Stack(tmp_path, TOKENS).environment("gateway")
    elsewhere = {name: "elsewhere" for name in _ACCESS if not name.startswith("FUNCLEDGER_LOG")}
    assert Stack(tmp_path, TOKENS | elsewhere).environment("gateway") == plain
    assert plain["FUNCLEDGER_KAFKA_BOOTSTRAP"] == "kafka:9092"


def test_three_brokers_are_told_of_each_other_and_services_of_all() -> None:
    found = services([BASE, HA], TOKENS)
    voters = found["kafka"].environment["KAFKA_CONTROLLER_QUORUM_VOTERS"]
    for number, name in enumerate(("kafka", "kafka-2", "kafka-3"), 1):
        assert found[name].environment["KAFKA_CONTROLLER_QUORUM_VOTERS"] == voters
        assert f"{number}@{name}:9093" in voters
        assert found[name].environment["KAFKA_NODE_ID"] == str(number)
        assert f"{name}:9092" in found[name].environment["KAFKA_ADVERTISED_LISTENERS"]
    for name in (*ROLES, "topics"):
        assert found[name].environment["FUNCLEDGER_KAFKA_REPLICATION"] == "3"
        assert len(found[name].environment["FUNCLEDGER_KAFKA_BOOTSTRAP"].split(",")) == 3


def test_a_registry_is_named_to_every_service() -> None:
    found = services([BASE, REGISTRY], TOKENS)
    assert all(found[role].environment["FUNCLEDGER_SCHEMA_REGISTRY_URL"].startswith("http") for role in ROLES)
    assert all("registry" in found[role].needs for role in ROLES)


def test_nothing_starts_without_users() -> None:
    with pytest.raises(ComposeError, match="FUNCLEDGER_TOKENS is not set: make a token first"):
        services([BASE], {})


def test_services_that_wait_for_each_other_are_named(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("services: {a: {depends_on: [b]}, b: {depends_on: [a]}, c: {image: x}}")
    with pytest.raises(ComposeError, match=r"\['a', 'b'\]"):
        services([file], {})


def test_variables_are_filled_in_as_compose_does(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text('services: {a: {environment: {A: "${A:-left}", B: "${B}", C: "$${C}", D: "${D:-x}y"}}}')
    environment = services([file], {"D": "given"})["a"].environment
    assert environment == {"A": "left", "B": "", "C": "${C}", "D": "giveny"}


def test_containers_may_do_no_more_than_they_must() -> None:
    raw = yaml.safe_load(BASE.read_text())["services"]
    for name, told in services([BASE], TOKENS).items():
        service = raw[name]
        if told.ours:
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
            assert "no-new-privileges:true" in service["security_opt"]
        else:
            assert all(port.startswith("${FUNCLEDGER_DOOR:-127.0.0.1") for port in service.get("ports", ()))
    lines = (FOLDER / "Dockerfile").read_text().splitlines()
    assert "USER 10001" in lines
    assert any("--require-hashes" in line for line in lines)
