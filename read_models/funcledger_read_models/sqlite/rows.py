"""Documents as rows of their table: fields that have columns stand there alone, all others in one blob."""

from collections.abc import Callable, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, get_type_hints

import msgspec

from funcledger_read_models.documents import Document, Model

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Any]).decode


@cache
def columns(model: Model) -> tuple[str, ...]:
    """Every column but the blob: key, then filters, then due time."""
    due = (model.due,) if model.due else ()
    return tuple(dict.fromkeys((*model.key, *model.filters, *due)))


@cache
def _others(model: Model) -> tuple[str, ...]:
    return tuple(name for name in model.type.__struct_fields__ if name not in columns(model))


def _getter(names: Sequence[str]) -> Callable[[Document], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    (name,) = names
    return lambda document: (getattr(document, name),)


@cache
def to_row(model: Model) -> Callable[[Document], tuple[Any, ...]]:
    """What gives a document's row."""
    known, others = _getter(columns(model)), _getter(_others(model))
    return lambda document: (*known(document), _encode(others(document)))


@cache
def from_row(model: Model) -> Callable[[Sequence[Any]], Document]:
    """What makes a document of its row."""
    names, hints = (*columns(model), *_others(model)), get_type_hints(model.type)
    places = [names.index(name) for name in model.type.__struct_fields__]
    # SQLite has no truth values.
    truths = [at for at, name in enumerate(columns(model)) if hints[name] is bool]

    def document(row: Sequence[Any]) -> Document:
        fields = [*row[:-1], *_decode(row[-1])]
        for at in truths:
            fields[at] = bool(fields[at])
        return msgspec.convert([fields[place] for place in places], model.type)

    return document
