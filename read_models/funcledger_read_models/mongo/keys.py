"""Keys as ``_id``: one string that sorts as the key does, so that prefixes are ranges and pages go by it.

Each field ends with NUL, the lowest character there is; a NUL or SOH within a field is written as SOH
and a character that tells which. So ``("a", "b")`` comes before ``("a\\0", "b")`` before ``("ab", "")``.
"""

from collections.abc import Iterable
from typing import Any

from funcledger_read_models.documents import Key

_END, _ESCAPE = "\x00", "\x01"


def identity(fields: Iterable[str]) -> str:
    """The ``_id`` of a key, or what every ``_id`` with these first fields begins with.

    Raises:
        ValueError: a field is not text.
    """
    return "".join([_escaped(field) + _END for field in fields])


def _escaped(field: Any) -> str:
    if not isinstance(field, str):
        raise ValueError(f"keys are made of text, not of {type(field).__name__}")
    if _END in field or _ESCAPE in field:
        return field.replace(_ESCAPE, _ESCAPE + "\x02").replace(_END, _ESCAPE + "\x01")
    return field


def span(prefix: Key, after: Key | None, descending: bool) -> dict[str, Any]:
    """The condition on ``_id`` of keys that begin with ``prefix`` and come after ``after``; may be empty."""
    condition = {}
    if prefix:
        start = identity(prefix)
        condition = {"$gte": start, "$lt": start[:-1] + _ESCAPE}
    if after is not None and descending:
        condition["$lt"] = identity(after)
    elif after is not None:
        condition.pop("$gte", None)
        condition["$gt"] = identity(after)
    return condition
