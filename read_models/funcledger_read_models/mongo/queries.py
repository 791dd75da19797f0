"""The reads of the query side as filters: a value asked for is compared, and never an operator."""

from collections.abc import Collection
from typing import Any

from funcledger_read_models.checks import Where, check_query
from funcledger_read_models.documents import Key, Model
from funcledger_read_models.mongo.keys import span


def page(model: Model, prefix: Key, where: Where, after: Key | None, descending: bool) -> dict[str, Any]:
    """The filter of one page of :meth:`ReadModelStore.find`.

    Raises:
        ValueError: the model cannot answer it, or it asks for something else than text, true or false.
    """
    check_query(model, prefix, where, after)
    conditions: dict[str, Any] = {name: _among(name, wanted) for name, wanted in where.items()}
    if keys := span(prefix, after, descending):
        conditions["_id"] = keys
    return conditions


def due(model: Model, before: int) -> dict[str, Any]:
    """The filter of :meth:`ReadModelStore.due`."""
    assert model.due is not None
    return {model.due: {"$lte": int(before)}}


def _among(name: str, wanted: str | bool | Collection[str]) -> dict[str, Any]:
    if isinstance(wanted, str | bool):
        return {"$eq": wanted}
    if isinstance(wanted, list | tuple | set | frozenset) and all(isinstance(each, str) for each in wanted):
        return {"$in": list(wanted)}
    raise ValueError(f"{name!r} is compared with text, several texts, true or false")
