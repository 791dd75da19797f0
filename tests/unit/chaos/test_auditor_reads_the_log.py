"""The auditor reads what the product wrote as the product does, by none of its code."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.chaos.auditor.embedded import records
from tests.chaos.auditor.facts import Damaged, Raw, facts_of
from tests.support.events import plain_parts
from tests.support.golden import golden_expected, golden_records, versions

from funcledger_event_log.records import NewRecord, Record
from funcledger_event_log.sqlite import SqliteLog
from funcledger_schemas.envelope import BY_ENDPOINT, TOPICS, Brief
from funcledger_schemas.proof import entry, leaf_hash

AUDITOR = Path(__file__).parents[2] / "chaos" / "auditor"


def test_it_imports_nothing_of_the_product_nor_its_decoders() -> None:
    modules = ", ".join(f"tests.chaos.auditor.{path.stem}" for path in AUDITOR.glob("[a-z]*.py"))
    code = f"import sys, {modules}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "avro" in loaded
    assert not [name for name in loaded if name.startswith("funcledger")]
    assert not loaded & {"fastavro", "msgspec"}


async def written(folder: Path, given: list[NewRecord]) -> Path:
    """An embedded log that holds these records, in two appends."""
    log = await SqliteLog.open(folder)
    for topic in TOPICS:
        await log.create_topic(topic, 64 if topic in BY_ENDPOINT else 1)
    await log.append(given[:1])
    await log.append(given[1:])
    await log.close()
    return folder


def golden(version: str) -> list[Record]:
    """What a release wrote and can be read."""
    found = zip(golden_records(version), golden_expected(version), strict=True)
    return [record for record, meaning in found if "unreadable" not in meaning]


def written_out(record: Record) -> NewRecord:
    return NewRecord(record.topic, record.partition, record.key, record.headers, record.value)


def in_brief(record: Record) -> NewRecord:
    extra = tuple(each for each in record.headers if each[0] == "traceparent")
    brief = Brief(record.dataschema or "", extra)
    return NewRecord(record.topic, record.partition, record.key, brief, record.value)


@pytest.mark.parametrize("anew", [written_out, in_brief])
@pytest.mark.parametrize("version", versions())
async def test_facts_and_leaf_hashes_are_those_of_the_product(
    tmp_path: Path, version: str, anew: Callable[[Record], NewRecord]
) -> None:
    given = golden(version)
    facts = list(facts_of(records(await written(tmp_path / "log", [anew(each) for each in given]))))
    assert len(facts) == len(given)
    by_id = {fact["event_id"]: fact for fact in facts}
    for record in given:
        fact = by_id[record.event().event_id]
        assert (fact.topic, fact.partition, fact.name) == (record.topic, record.partition, record.type)
        meant = plain_parts(record.event())
        assert fact.fields == {name: meant[name] for name in fact.fields}
        assert fact.leaf == leaf_hash(entry(record.key, record.headers, record.value))


async def test_large_values_beside_the_chunks_are_read_too(tmp_path: Path) -> None:
    values = [bytes([n]) * size for n, size in enumerate((10, 70_000, 100, 200_000))]
    given = [NewRecord("tasks", 3, b"k", (("name", b"content"),), value) for value in values]
    found = list(records(await written(tmp_path / "log", given)))
    assert [(raw.partition, raw.offset, raw.key, raw.headers, raw.value) for raw in found] == [
        (3, offset, b"k", (("name", b"content"),), value) for offset, value in enumerate(values)
    ]


@pytest.fixture
async def log(tmp_path: Path) -> Path:
    """A log of three chunks in one partition, the last with a value beside it."""
    values = [b"x" * 100] + [b"y" * 2000] * 64 + [b"z" * 70_000]
    return await written(tmp_path / "log", [NewRecord("tasks", 0, b"k", (), value) for value in values])


def execute(log: Path, statement: str) -> None:
    with closing(sqlite3.connect(log / "log.db")) as connection, connection:
        connection.execute(statement)


def lose_a_chunk(log: Path) -> None:
    execute(log, "DELETE FROM chunks WHERE id = (SELECT min(id) + 1 FROM chunks)")


def alter_a_chunk(log: Path) -> None:
    execute(log, "UPDATE chunks SET body = CAST(replace(CAST(body AS TEXT), 'y', 'n') AS BLOB)")


def change_a_time(log: Path) -> None:
    execute(log, "UPDATE chunks SET timestamp = timestamp + 1")


def cut_the_values(log: Path) -> None:
    os.truncate(log / "log.values", 69_999)


def alter_a_value(log: Path) -> None:
    with (log / "log.values").open("r+b") as values:
        values.write(b"n")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lose_a_chunk, "a gap"),
        (alter_a_chunk, "checksum"),
        (change_a_time, "checksum"),
        (cut_the_values, "is not in log.values"),
        (alter_a_value, "checksum"),
    ],
)
def test_damage_is_found(log: Path, damage: Callable[[Path], None], said: str) -> None:
    assert len(list(records(log))) == 66
    damage(log)
    with pytest.raises(Damaged, match=said):
        list(records(log))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"no value at all", "does not begin"),
        (b"\0\0\0\0\x63", "does not begin"),
        (b"\0\0\0\0\x08\x48cut", "cannot be decoded"),
    ],
)
def test_what_cannot_be_decoded_is_said(value: bytes, said: str) -> None:
    with pytest.raises(Damaged, match=said):
        list(facts_of([Raw("endpoints", 0, 0, 0, b"k", (), value)]))


def test_a_value_and_its_header_must_agree() -> None:
    [record] = [each for each in golden("v0.1.0") if each.type == "EndpointDeleted"]
    raw = Raw("endpoints", 0, 0, 0, record.key, record.headers, record.value)
    assert len(list(facts_of([raw]))) == 1
    with pytest.raises(Damaged, match="followed by more"):
        list(facts_of([raw._replace(value=raw.value + b"x")]))
    with pytest.raises(Damaged, match="ce_dataschema differ"):
        list(facts_of([raw._replace(headers=())]))
