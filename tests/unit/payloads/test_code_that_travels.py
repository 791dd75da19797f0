"""Ordinary code of a laboratory runs elsewhere as it runs here, and comes back as what it was."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support import laboratory
from tests.support.travelling import Elsewhere

CALLS: list[Any] = laboratory.CALLS
#: dill has a module's functions and the module itself apart: what is set in one is not seen by the other.
NOT_WITH_DILL = ("module set",)


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    with Elsewhere() as process:
        yield process


def test_there_are_a_hundred_of_them() -> None:
    assert len({name for name, *_ in CALLS}) >= 100


@pytest.mark.parametrize(
    ("call", "serializer"),
    [(call, None) for call in CALLS] + [(call, "dill") for call in CALLS if call[0] not in NOT_WITH_DILL],
    ids=lambda part: part[0].replace(" ", "-") if isinstance(part, tuple) else part or "usual",
)
def test_it_gives_there_what_it_gives_here(elsewhere: Elsewhere, call: Any, serializer: str | None) -> None:
    _, function, args, wanted = call
    found = elsewhere.call(function, *args, serializer=serializer)
    if wanted is not None:
        assert found == wanted
        assert type(found) is type(wanted)
