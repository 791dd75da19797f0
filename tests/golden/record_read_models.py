"""Writes what a release's golden log folds into, once: ``python -m tests.golden.record_read_models v0.1.0``.

``read_models.jsonl`` holds a document a line: its model and its fields, bytes as size and SHA-256. Read it
before it is committed; from then on it is what today's folds are held to.
"""

import asyncio
import hashlib
import json
import sys
from typing import Any

import msgspec
from tests.support.folding import fold_into
from tests.support.golden import GOLDEN, golden_records

from funcledger_read_models.documents import HELD_EVENTS, MODELS, Document, plain
from funcledger_read_models.memory import MemoryStore
from funcledger_read_models.port import ReadModelStore


def read_models(version: str) -> list[dict[str, Any]]:
    """Every document that today's folds make of the release's golden log."""

    async def fold() -> list[dict[str, Any]]:
        store = MemoryStore()
        await fold_into(store, [golden_records(version)])
        return await lines_of(store)

    return asyncio.run(fold())


async def lines_of(store: ReadModelStore) -> list[dict[str, Any]]:
    """Every document of a store, as one is written down."""
    shown = [model for model in MODELS if model is not HELD_EVENTS]
    return [_line(model.name, each) for model in shown for each in await store.find(model, limit=10_000)]


def _line(model: str, document: Document) -> dict[str, Any]:
    fields = {name: _value(value) for name, value in plain(document).items()}
    return {"model": model, "document": fields}


def _value(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"size": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    if isinstance(value, list):
        return [_value(item) for item in value]
    return msgspec.structs.asdict(value) if isinstance(value, msgspec.Struct) else value


if __name__ == "__main__":
    path = GOLDEN / sys.argv[1] / "read_models.jsonl"
    if path.exists():
        raise SystemExit(f"{path} is there already, and is never written again")
    lines = (json.dumps(line, ensure_ascii=False) for line in read_models(sys.argv[1]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
