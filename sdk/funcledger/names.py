"""Ids and names as users give them: str or UUID, checked before anything is sent."""

from uuid import UUID

from funcledger.errors import InvalidRequest
from funcledger_schemas.ids import is_id

#: An id as a user may give it.
Id = str | UUID


def as_id(given: Id, what: str) -> str:
    """The id in its 36-character lower-case form.

    Raises:
        InvalidRequest: it is not a UUID; ``what`` names it in the message.
    """
    text = str(given).lower()
    if not is_id(text):
        raise InvalidRequest(f"{what} is not a UUID: {str(given)[:80]!r}.")
    return text
