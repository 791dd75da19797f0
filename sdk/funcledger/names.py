"""Ids and names as users give them: str or UUID, checked before anything is sent."""

from urllib.parse import quote
from uuid import UUID

from funcledger.errors import InvalidRequest
from funcledger_schemas.ids import OrderedIds, is_id

#: An id as a user may give it.
Id = str | UUID

#: The ids of tasks, by which they are listed: those of one program are in the order of its calls.
new_task_id = OrderedIds().new_id


def as_id(given: Id, what: str) -> str:
    """The id in its 36-character lower-case form.

    Raises:
        InvalidRequest: it is not a UUID; ``what`` names it in the message.
    """
    text = str(given).lower()
    if not is_id(text):
        raise InvalidRequest(f"{what} is not a UUID: {str(given)[:80]!r}.")
    return text


def segment(name: str, what: str) -> str:
    """A name as one part of a path, whatever it holds: slashes, or dots that would lead elsewhere.

    Raises:
        InvalidRequest: it is empty or holds a control character; ``what`` names it in the message.
    """
    if not name:
        raise InvalidRequest(f"{what} is empty: give an id or a name.")
    if any(character < " " or character == "\x7f" for character in name):
        raise InvalidRequest(f"{what} is no name: {name[:80]!r} holds a control character.")
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")
