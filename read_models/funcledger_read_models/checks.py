"""What every store checks the same way before it reads or writes."""

from collections.abc import Collection, Mapping

from funcledger_read_models.documents import Key, Model
from funcledger_read_models.port import Positions, StaleWriter

#: What a query asks of filter fields: a value, or several of which one must match.
Where = Mapping[str, str | bool | Collection[str]]


def check_writer(stored: Positions, before: Positions, positions: Positions) -> None:
    """Raise StaleWriter when what is stored is beyond what the writer started from."""
    for where in positions:
        at, expected = stored.get(where, 0), before.get(where, 0)
        if at > expected:
            raise StaleWriter(
                f"{where[0]}:{where[1]} has been read to {at}, this writer started at {expected}"
            )


def check_query(model: Model, prefix: Key, where: Where, after: Key | None) -> None:
    """Raise ValueError for a query that the model cannot answer."""
    for name in where:
        if name not in model.filters:
            raise ValueError(
                f"{model.name} cannot be filtered by {name!r}, only by {', '.join(model.filters)}"
            )
    if len(prefix) > len(model.key):
        raise ValueError(f"a key of {model.name} has {len(model.key)} fields, not {len(prefix)}")
    if after is not None and (len(after) != len(model.key) or after[: len(prefix)] != prefix):
        raise ValueError(f"{after!r} is not the key of a {model.name} document under {prefix!r}")
