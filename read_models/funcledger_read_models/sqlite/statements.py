"""The SQL of each model: a table with columns for key, filters and due time, and a blob for all else.

Statements take many rows each, since SQLite then works through all of them in one call, and other
threads run meanwhile.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from typing import TypeVar

from funcledger_read_models.documents import BATCH_RESULTS, Model
from funcledger_read_models.sqlite.rows import columns

T = TypeVar("T")
#: How many rows a statement takes: few sizes, so that few statements are compiled, and they are kept.
_SIZES = (512, 128, 32, 8, 1)
#: What nearly all documents come to, so that looking for it by index would lead to nearly all of them;
#: so it is not in the index, and whoever looks there says so.
COMMON = "success"
RARE = f"status <> '{COMMON}'"


def layout(model: Model) -> Iterator[str]:
    """What creates the model's table and indexes."""
    key = ", ".join(model.key)
    required = ", ".join(f"{name} NOT NULL" for name in model.key)
    others = "".join(f", {name}" for name in columns(model)[len(model.key) :])
    yield f"CREATE TABLE {model.name} ({required}{others}, others BLOB NOT NULL, PRIMARY KEY ({key}))"
    for name in indexed(model):
        start = ", ".join((name, *model.key[:2]))
        rare = f" WHERE {RARE}" if name == "status" else ""
        yield f"CREATE INDEX {index(model, name)} ON {model.name} ({start}){rare}"
    if model.due:
        due = f"({model.due}, {key}) WHERE {model.due} IS NOT NULL"
        yield f"CREATE INDEX {model.name}_due ON {model.name} {due}"


def indexed(model: Model) -> list[str]:
    """The filters that have an index; each goes on with the key, so that it gives pages in key order."""
    # One batch is few enough to be filtered while it is read; the primary key finds its own beginning.
    return [] if model is BATCH_RESULTS else [name for name in model.filters if name not in model.key[:2]]


@cache
def asked(model: Model) -> str:
    """What is selected of a document: its row."""
    return ", ".join((*columns(model), "others"))


def index(model: Model, name: str) -> str:
    """The name of a filter's index."""
    return f"{model.name}_by_{name}"


def pieces(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """The items in slices of the few sizes there are statements for."""
    rest = iter(items)
    left = len(items)
    for size in _SIZES:
        while left >= size:
            yield list(islice(rest, size))
            left -= size


@cache
def upsert(model: Model, rows: int) -> str:
    """Writes so many documents; parameters are their rows, one after another."""
    names = (*columns(model), "others")
    row = f"({', '.join('?' * len(names))})"
    changes = ", ".join(f"{name} = excluded.{name}" for name in names[len(model.key) :])
    return (
        f"INSERT INTO {model.name} ({', '.join(names)}) VALUES {', '.join([row] * rows)}"  # noqa: S608
        f" ON CONFLICT ({', '.join(model.key)}) DO UPDATE SET {changes}"
    )


@cache
def select(model: Model, rows: int) -> str:
    """Reads the documents of so many keys, those that exist."""
    names = [f"k{at}" for at in range(len(model.key))]
    row = f"({', '.join('?' * len(names))})"
    same = " AND ".join(f"{column} = {name}" for column, name in zip(model.key, names, strict=True))
    return (
        f"WITH wanted ({', '.join(names)}) AS (VALUES {', '.join([row] * rows)})"  # noqa: S608
        f" SELECT {asked(model)} FROM wanted CROSS JOIN {model.name} ON {same}"
    )
