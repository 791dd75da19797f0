"""The reads of the query side as SQL: pages in key order, and what is due."""

import json
from collections.abc import Collection
from typing import Any

from funcledger_read_models.checks import Where, check_query
from funcledger_read_models.documents import Key, Model
from funcledger_read_models.sqlite.statements import COMMON, RARE, asked, index, indexed

#: Filters that leave the fewest documents come first; the others are alike.
_FINEST = ("batch_id", "status")


def page(
    model: Model, prefix: Key, where: Where, after: Key | None, limit: int, descending: bool
) -> tuple[str, list[Any]]:
    """The statement and parameters of one page of :meth:`ReadModelStore.find`.

    Raises:
        ValueError: the model cannot answer it.
    """
    check_query(model, prefix, where, after)
    conditions = [f"{name} = ?" for name in model.key[: len(prefix)]]
    parameters: list[Any] = list(prefix)
    for name, wanted in where.items():
        if isinstance(wanted, str | bool):
            conditions.append(f"{name} = ?")
            parameters.append(wanted)
        else:
            conditions.append(f"{name} IN (SELECT value FROM json_each(?))")  # noqa: S608
            parameters.append(json.dumps(list(wanted)))
    rest = model.key[len(prefix) :]
    nothing = after is not None and not rest
    if after is not None and rest:
        sign = "<" if descending else ">"
        conditions.append(f"({', '.join(rest)}) {sign} ({', '.join('?' * len(rest))})")
        parameters += after[len(prefix) :]
    elif nothing:
        conditions.append("0")  # a whole key has nothing behind it
    order = ", ".join(f"{name} DESC" if descending else name for name in model.key)
    text = f"SELECT {asked(model)} FROM {model.name}"  # noqa: S608
    # SQLite finds "no query solution" by an index where it sees that nothing can match.
    if not nothing and (finest := _finest(model, where)) is not None:
        # SQLite knows nothing of how values are spread, and would rather walk through every key.
        text += f" INDEXED BY {index(model, finest)}"
        conditions += [RARE] if finest == "status" else []
    if conditions:
        text += f" WHERE {' AND '.join(conditions)}"
    return f"{text} ORDER BY {order} LIMIT ?", [*parameters, limit]


def _finest(model: Model, where: Where) -> str | None:
    """The filter to look for by its index, None where the key leads further."""
    if not set(where).isdisjoint(model.key[:2]):
        return None
    names = [name for name in indexed(model) if name in where and _is_narrow(name, where[name])]
    return min(names, key=lambda name: _FINEST.index(name) if name in _FINEST else len(_FINEST), default=None)


def _is_narrow(name: str, wanted: str | bool | Collection[str]) -> bool:
    # Of several values at once, all that match must be sorted, so they should be few.
    return wanted != COMMON if isinstance(wanted, str | bool) else name == "status" and COMMON not in wanted


def due(model: Model, before: int, limit: int) -> tuple[str, list[Any]]:
    """The statement and parameters of :meth:`ReadModelStore.due`."""
    assert model.due is not None
    order = ", ".join((model.due, *model.key))
    text = f"SELECT {asked(model)} FROM {model.name} WHERE {model.due} <= ? ORDER BY {order} LIMIT ?"  # noqa: S608
    return text, [before, limit]
