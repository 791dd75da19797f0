"""The first five bytes of a record's value, where an external registry numbers the schemas."""

from collections.abc import Mapping

from funcledger_event_log.records import NewRecord

_LENGTH = 5


class Prefixes:
    """Puts a registry's ids in place of ours. No reader of ours looks at them, and no hash covers them.

    ``ids`` are by ``ce_dataschema``. A record that names no schema of ours stays as it is.
    """

    def __init__(self, ids: Mapping[str, int]) -> None:
        self._known = {schema: b"\0" + number.to_bytes(4, "big") for schema, number in ids.items()}

    def value_of(self, record: NewRecord) -> bytes:
        """The record's value as it is to be written."""
        prefix = self._known.get(record.dataschema or "") if self._known else None
        return b"".join((prefix, memoryview(record.value)[_LENGTH:])) if prefix else record.value
