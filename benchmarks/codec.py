"""What an event costs on its way to bytes and back: ``python -m benchmarks.codec``, µs of CPU for each type.

Beside each figure of ours stands fastavro's alone, for the same event; the last two columns are a whole
record, with its headers and key.
"""

import io
import statistics
import time
from collections.abc import Callable
from typing import Any

import fastavro
import msgspec

from funcledger_schemas import codec, envelope, events, manifest
from funcledger_schemas.events import Event
from funcledger_schemas.ids import new_id

ROUNDS, CALLS = 9, 3_000
COLUMNS = ("encode", "fastavro", "decode", "fastavro", "seal", "unseal")
#: Of fields that are as long as this in real life; ids, hashes and times are found by their names.
_VALUES: dict[str, Any] = {
    "actor": "user:ann@example.org",
    "owner": "ann@example.org",
    "payload": b"x" * 100,
    "payload_size": 100,
    "payload_format": "pickle",
    "occurred_at": 1_790_000_000_000_000,
    "expires_in": 604_800,
    "peak_memory": 31_457_280,
    "run_time": 0.00125,
    "cpu_time": 0.00125,
    "description": None,
    "metadata": None,
}
_BY_TYPE: dict[str, Any] = {
    "string": "sixteen letters.",
    "long": 12_345,
    "int": 3,
    "boolean": False,
    "double": 0.25,
    "bytes": b"x" * 100,
}


def main() -> None:
    """Print the table."""
    print(f"{'µs of CPU per event':<22}" + "".join(f"{name:>10}" for name in COLUMNS))
    for entry in manifest.entries():
        if entry == manifest.latest(entry.name):
            figures = "".join(f"{figure:>10.2f}" for figure in _figures(_sample(entry), entry))
            print(f"{entry.name:<22}{figures}")


def _sample(entry: manifest.Entry) -> Event:
    """An event of this type as they are in real life."""
    fields = {field["name"]: _value(field) for field in manifest.schema(entry)["fields"]}
    event: Event = getattr(events, entry.name)(**fields)
    return event


def _value(field: dict[str, Any]) -> Any:
    name, type_ = field["name"], field["type"]
    if name in _VALUES:
        return _VALUES[name]
    if name.endswith("_id"):
        return new_id()
    if name.endswith(("sha256", "hash", "digest")):
        return "0" * 64
    if isinstance(type_, list):
        return None if type_[1] == "string" else _BY_TYPE[type_[1]]
    return _BY_TYPE[type_]


def _figures(event: Event, entry: manifest.Entry) -> list[float]:
    sealed = envelope.seal(event)
    schema = fastavro.parse_schema(codec.physical(manifest.schema(entry)))

    def write() -> bytes:
        out = io.BytesIO()
        out.write(sealed.value[:5])
        fastavro.schemaless_writer(out, schema, msgspec.structs.asdict(event))
        return out.getvalue()

    def read() -> Event:
        body = io.BytesIO(sealed.value)
        body.seek(5)
        fields: Any = fastavro.schemaless_reader(body, schema, None)
        return type(event)(**fields)

    assert write() == sealed.value
    assert read() == event
    works: list[Callable[[], object]] = [
        lambda: codec.encode(event),
        write,
        lambda: codec.decode(sealed.value, entry.dataschema),
        read,
        lambda: envelope.seal(event),
        lambda: envelope.unseal(sealed.head, sealed.value),
    ]
    return [statistics.median(_once(work) for _ in range(ROUNDS)) for work in works]


def _once(work: Callable[[], object]) -> float:
    begun = time.process_time_ns()
    for _ in range(CALLS):
        work()
    return (time.process_time_ns() - begun) / CALLS / 1000


if __name__ == "__main__":
    main()
