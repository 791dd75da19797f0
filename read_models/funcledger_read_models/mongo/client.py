"""The one place that knows the driver: how a database is reached, and what its errors are in our words."""

import contextlib
from collections.abc import Iterator
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import ReadPreference, WriteConcern
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    ExecutionTimeout,
    InvalidOperation,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
)
from pymongo.read_concern import ReadConcern

from funcledger_read_models.port import StaleWriter, StoreError, StoreUnavailable

#: Milliseconds until a server that is not there is given up; callers have pauses of their own.
PATIENCE = 2_000
#: Milliseconds that one command may take.
LONGEST = 30_000
_DUPLICATE_KEY = 11000
#: Codes of what no second try cures: a statement or a document that the server cannot take. A full disk,
#: a shutdown, a password being changed are not among them.
_LASTING = frozenset({2, 9, 14, 17280, 10334})
_PASSING = (ConnectionFailure, ExecutionTimeout, WriteConcernError)


class Database:
    """A database of a server, with acknowledgements that survive the loss of a minority of it."""

    def __init__(self, address: str, name: str) -> None:
        """``address``: a ``mongodb://`` address. Connects when it is first used, on the running loop.

        Raises:
            StoreError: the address cannot be read.
        """
        self.name = name
        try:
            self._client: Any = AsyncIOMotorClient(
                address,
                appname="funcledger",
                serverSelectionTimeoutMS=PATIENCE,
                connectTimeoutMS=PATIENCE,
                socketTimeoutMS=LONGEST,
            )
        except (ConfigurationError, ValueError) as error:
            # Addresses carry passwords, and the error may quote it.
            raise StoreError(f"the MongoDB address is not valid ({type(error).__name__})") from None
        self._database: Any = self._client.get_database(
            name,
            write_concern=WriteConcern("majority", wtimeout=LONGEST),
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )

    def __getitem__(self, collection: str) -> Any:
        return self._database[collection]

    async def command(self, name: str) -> dict[str, Any]:
        """What the server answers to a command without arguments."""
        return dict(await self._database.command(name))

    async def collections(self) -> set[str]:
        """The names of those there are."""
        return set(await self._database.list_collection_names())

    async def drop(self) -> None:
        """Delete the database with all that is in it."""
        with translated(self.name):
            await self._client.drop_database(self.name)

    def close(self) -> None:
        """Let go of every connection."""
        self._client.close()


@contextlib.contextmanager
def translated(name: str) -> Iterator[None]:
    """What the driver raises in here, in the port's words; none of them quotes the address.

    Raises:
        StaleWriter: a document to be inserted is there already.
        StoreUnavailable: anything that a later try may cure.
        StoreError: what the server refuses for good.
    """
    try:
        yield
    except BulkWriteError as error:
        raise _of_bulk(name, error) from error
    except _PASSING as error:
        raise StoreUnavailable(f"the database {name} does not answer just now: {_brief(error)}") from error
    except InvalidOperation as error:
        raise StoreUnavailable(f"the store {name} is closed") from error
    except OperationFailure as error:
        kind = StoreError if error.code in _LASTING else StoreUnavailable
        raise kind(f"the database {name} refused: {_brief(error)} (code {error.code})") from error
    except PyMongoError as error:
        raise StoreError(f"the database {name} cannot be used: {_brief(error)}") from error


def _of_bulk(name: str, error: BulkWriteError) -> StoreError:
    failed = (error.details or {}).get("writeErrors", [])
    if not failed:
        return StoreUnavailable(f"the database {name} has not made sure of a write on a majority in time")
    if any(each.get("code") == _DUPLICATE_KEY for each in failed):
        return StaleWriter(f"another writer has added documents to {name} since this one looked")
    kind = StoreError if any(each.get("code") in _LASTING for each in failed) else StoreUnavailable
    return kind(f"the database {name} refused a document: {failed[0].get('errmsg', '')[:200]}")


def _brief(error: PyMongoError) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"
