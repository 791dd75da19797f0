"""Makes records readable whose schema is newer than this release: the server gives each schema once."""

import logging
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from funcledger_event_log.records import DecodeError, Record
from funcledger_schemas import manifest
from funcledger_schemas.newer import Reader, parts_of, reader_of

_log = logging.getLogger(__name__)

#: The text of a schema, by the event's name and its version.
#:
#: Raises:
#:     LookupError: there is none.
Ask = Callable[[str, int], Awaitable[str]]


class NewerSchemas:
    """What an agent that was not upgraded with its server has learned of the server's schemas."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._shipped = {entry.dataschema for entry in manifest.entries()}
        #: None where there is no way to read it.
        self._readers: dict[str, Reader | None] = {}

    async def read(self, records: list[Record]) -> list[Record]:
        """The same records; those of newer schemas that can be read bring their event along.

        Raises:
            LogError: the server could not be asked.
        """
        unknown = _schemas_of(records) - self._shipped
        for dataschema in unknown - self._readers.keys():
            self._readers[dataschema] = await self._learn(dataschema)
        return [self._known(record) for record in records] if unknown else records

    async def _learn(self, dataschema: str) -> Reader | None:
        try:
            reader = reader_of(dataschema, await self._ask(*parts_of(dataschema)))
        except (LookupError, DecodeError) as error:
            _log.error(
                "what the server says in %s cannot be read here; upgrade this endpoint: %s", dataschema, error
            )
            return None
        _log.warning(
            "the server writes %s, which is newer than this endpoint: fields it added are ignored", dataschema
        )
        return reader

    def _known(self, record: Record) -> Record:
        reader = self._readers.get(record.dataschema or "")
        if reader is None:
            return record
        try:
            return msgspec.structs.replace(record, decoded=reader(record.value))
        except DecodeError as error:
            _log.error("the record at %s: %s", record.position, error)
            return record


def _schemas_of(records: Sequence[Record]) -> set[str]:
    return {record.dataschema or "" for record in records} - {""}
