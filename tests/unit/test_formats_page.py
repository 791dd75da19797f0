"""What docs/formats.md shows byte by byte is what stands on the log."""

import re
from pathlib import Path

from tests.support.golden import golden_records

from funcledger_schemas import manifest
from funcledger_schemas.envelope import BY_ENDPOINT, TOPICS, header
from funcledger_schemas.frames import cut, pack, unpack

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()


def examples() -> list[bytes]:
    """The bytes of each hex block, without what is said beside them."""
    blocks = re.findall(r"```hex\n(.*?)```", PAGE, re.DOTALL)
    return [bytes.fromhex("".join(line.split("|")[0] for line in block.splitlines())) for block in blocks]


def table(first_column: str) -> list[list[str]]:
    """The rows of the table with this heading, cell by cell."""
    rows = PAGE.split(f"| {first_column} |")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_worked_value_is_the_one_in_the_golden_log() -> None:
    [record] = [record for record in golden_records("v0.1.0") if record.type == "EndpointDeleted"]
    assert examples()[0] == record.value
    for name, _, example in table("header"):
        if example:
            assert header(record.headers, name.strip("`")) == example.strip("`")


def test_the_worked_frame_is_one() -> None:
    frame = examples()[1]
    assert frame == pack({"sizes": [3, 2]}, [b"abc", b"xy"])
    head, start = unpack(frame)
    assert cut(frame, start, head["sizes"]) == [b"abc", b"xy"]


def test_the_table_of_topics_is_the_manifest() -> None:
    rows = {name.strip("`"): (partitions, events) for name, partitions, events in table("topic")}
    assert set(rows) == set(TOPICS)
    for topic, (partitions, events) in rows.items():
        assert set(events.split(", ")) == {e.name for e in manifest.entries() if e.topic == topic}
        assert partitions == ("the endpoint's" if topic in BY_ENDPOINT else "1")
