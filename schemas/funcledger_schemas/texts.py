"""What text may be: how long in an event, what cannot be written again, and how it is shown to people.

Whoever takes text in checks it, so that nobody else need: text that is no UTF-8 cannot be sent on, and
what steers a terminal does so wherever somebody looks at it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from operator import attrgetter
from types import NoneType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from funcledger_schemas.events import Event
from funcledger_schemas.limits import (
    DESCRIPTION_LIMIT,
    MESSAGE_LIMIT,
    NAME_LIMIT,
    PARTS_LIMIT,
    SETTINGS_LIMIT,
    TRACEBACK_LIMIT,
)

#: Most bytes of UTF-8 that a field of an event may take, by its name; all others are names of something.
_FIELDS: Mapping[str, int] = {
    "message": MESSAGE_LIMIT,
    "reason": MESSAGE_LIMIT,
    "traceback": TRACEBACK_LIMIT,
    "description": DESCRIPTION_LIMIT,
    **dict.fromkeys(("metadata", "resource_specification", "endpoint_config"), SETTINGS_LIMIT),
}
#: Arrays and objects in one another in JSON that people send; readers in other languages stop not far above.
DEPTH_LIMIT = 64
#: Control characters (Unicode's category Cc), separators of lines, and what changes the direction of text.
CONTROLS = "\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
_SHOWN_AS_IT_IS = "\n\t"
_STEERING = re.compile(f"(?![{_SHOWN_AS_IT_IS}])[{CONTROLS}\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class BadText(ValueError):
    """Raised for text that cannot be taken; the message says where it stands and what is wrong with it."""


class _Texts(NamedTuple):
    """The text fields of a class of events; ``parts`` hold several texts, or records of their own."""

    names: tuple[str, ...]
    limits: tuple[int, ...]
    #: Text of so many characters is within its limit, whatever they are.
    short: tuple[int, ...]
    get: Callable[[Event], tuple[str | None, ...]]
    parts: tuple[str, ...]


@cache
def _texts(kind: type[Event]) -> _Texts:
    hints = get_type_hints(kind)
    names = tuple(name for name in kind.__struct_fields__ if _is_text(hints[name]))
    limits = tuple(_FIELDS.get(name, NAME_LIMIT) for name in names)
    plain = (str, int, float, bool, bytes, NoneType)
    parts = tuple(
        name
        for name in kind.__struct_fields__
        if not set(get_args(hints[name]) or [hints[name]]).issubset(plain) or get_origin(hints[name]) is tuple
    )
    return _Texts(names, limits, tuple(limit // 4 for limit in limits), attrgetter(*names), parts)


def _is_text(hint: Any) -> bool:
    return hint is str or set(get_args(hint)) == {str, NoneType}


def _check_size(name: str, text: str, limit: int) -> None:
    if 4 * len(text) > limit and (size := len(text.encode())) > limit:
        raise BadText(f"{name} takes {size} bytes, the limit is {limit}")


def _check_part(name: str, part: Any) -> None:
    if isinstance(part, str):
        _check_size(name, part, NAME_LIMIT)
    elif isinstance(part, tuple | list):
        if len(part) > PARTS_LIMIT:
            raise BadText(f"{name} has {len(part)} items, the limit is {PARTS_LIMIT}")
        for each in part:
            _check_part(name, each)
    elif isinstance(part, msgspec.Struct):
        for field in part.__struct_fields__:
            _check_part(f"{name}.{field}", getattr(part, field))


def check_texts(event: Event) -> None:
    """See that no text of an event from elsewhere is over its limit, nor what holds several too long.

    Raises:
        BadText: naming the first field that is, its size and the limit.
    """
    texts = _texts(type(event))
    for at, (text, short) in enumerate(zip(texts.get(event), texts.short, strict=True)):
        if text is not None and len(text) > short:
            _check_size(texts.names[at], text, texts.limits[at])
    for name in texts.parts:
        if (part := getattr(event, name)) is not None:
            _check_part(name, part)


def shorten(text: str, limit: int) -> str:
    """The text, its middle left out where it takes more bytes of UTF-8 than ``limit`` (at least 256)."""
    if 4 * len(text) <= limit:
        return text
    data = text.encode(errors="backslashreplace")
    if len(data) <= limit:
        return text
    half = (limit - 64) // 2
    note = f" ... {len(data) - 2 * half} bytes left out ... "
    return data[:half].decode(errors="ignore") + note + data[-half:].decode(errors="ignore")


def check_json(value: Any) -> None:
    """See that JSON which somebody sent can be written and read again by everybody.

    Raises:
        BadText: naming the place of a text that is no Unicode (a lone surrogate), or what is nested too deep.
    """
    for path, found in _walk(value):
        if isinstance(found, str) and _SURROGATE.search(found):
            raise BadText(f"{_spelled(path)} holds half a surrogate pair, which is not Unicode text")
        if len(path) > DEPTH_LIMIT:
            raise BadText(f"arrays and objects are nested more than {DEPTH_LIMIT} deep")


def _walk(value: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value with its path, and every key as text at its own; deeper than the limit only once."""
    open_values: list[tuple[tuple[Any, ...], Any]] = [((), value)]
    while open_values:
        path, found = open_values.pop()
        yield path, found
        if isinstance(found, dict):
            open_values += [((*path, key), part) for key, part in found.items()]
            yield from (((*path, key), key) for key in found)
        elif isinstance(found, list):
            open_values += [((*path, at), part) for at, part in enumerate(found)]


def _spelled(path: tuple[Any, ...]) -> str:
    """A path as it can be told, itself perhaps what is wrong."""
    return visible(".".join(str(part) for part in path)) or "it"


def mended(value: Any) -> Any:
    """JSON that was taken in before it was checked, as far as it can be written: the rest is replaced."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {mended(key): mended(part) for key, part in value.items()}
    if isinstance(value, list):
        return [mended(part) for part in value]
    return value


def visible(text: str) -> str:
    """The text as it may go to a terminal: what would steer it (escape sequences, direction) is spelled out.

    Lines and tabs stay.
    """
    return _STEERING.sub(lambda found: found.group().encode("unicode_escape").decode(), text)
