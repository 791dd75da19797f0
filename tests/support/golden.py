"""Golden logs: what a release wrote, kept for ever, and what it meant, written down beside it.

``log.jsonl`` holds one record a line, in the order of appending; ``expected.jsonl`` says for the same
line which event it is (bytes as size and SHA-256), whether it is void, or why it cannot be read.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from tests.support.events import plain_parts

from funcledger_event_log.records import Record
from funcledger_schemas.events import Event

GOLDEN = Path(__file__).parent.parent / "golden"


def versions() -> list[str]:
    """The releases that have a golden log."""
    return sorted(path.parent.name for path in GOLDEN.glob("*/log.jsonl"))


def golden_records(version: str) -> list[Record]:
    """Every record of the release's log, in the order of appending."""
    return [_record(json.loads(line)) for line in (GOLDEN / version / "log.jsonl").read_text().splitlines()]


def golden_expected(version: str) -> list[dict[str, Any]]:
    """Line for line what the records of :func:`golden_records` mean."""
    lines = (GOLDEN / version / "expected.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def plain(event: Event) -> dict[str, Any]:
    """The event's fields as JSON values; bytes become their size and SHA-256."""
    fields: dict[str, Any] = plain_parts(event)
    return {name: _digest(value) if isinstance(value, bytes) else value for name, value in fields.items()}


def _digest(value: bytes) -> dict[str, Any]:
    return {"size": len(value), "sha256": hashlib.sha256(value).hexdigest()}


def _record(row: dict[str, Any]) -> Record:
    return Record(
        row["topic"],
        row["partition"],
        row["offset"],
        row["timestamp"],
        base64.b64decode(row["key"]),
        tuple((name, base64.b64decode(value)) for name, value in row["headers"]),
        base64.b64decode(row["value"]),
    )
