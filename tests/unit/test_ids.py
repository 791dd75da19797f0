"""Ids that sort in the order in which they were made, whatever the clock does."""

from concurrent.futures import ThreadPoolExecutor
from uuid import RFC_4122, UUID

import pytest

from funcledger_schemas import clock
from funcledger_schemas.ids import OrderedIds, is_id


def test_ordered_ids_are_in_order_and_each_is_one_of_its_own() -> None:
    ids = OrderedIds()
    made = [ids.new_id() for _ in range(10_000)]  # more than one counter's worth
    assert made == sorted(set(made))
    assert all(is_id(each) for each in made)
    assert {(UUID(each).version, UUID(each).variant) for each in made} == {(7, RFC_4122)}
    with ThreadPoolExecutor(4) as pool:
        assert len({*pool.map(lambda _: ids.new_id(), range(10_000)), *made}) == 20_000


_TRUE = clock.current()


class _Back:
    """A clock that stands an hour before the true one."""

    def __init__(self) -> None:
        self._true = _TRUE
        self.random_bytes = self._true.random_bytes

    def time_ns(self) -> int:
        return self._true.time_ns() - 3_600 * 10**9


def test_ordered_ids_go_on_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = OrderedIds()
    before = ids.new_id()
    monkeypatch.setattr(clock, "current", _Back)
    assert before < ids.new_id() < ids.new_id()
