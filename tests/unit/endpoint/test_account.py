"""A worker's account of its calls is believed only as far as it can be true."""

import fcntl
import os
import sys
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funcledger_endpoint.local.account import Account
from funcledger_endpoint.local.cell import Cell
from funcledger_endpoint.local.frames import BadMessage
from funcledger_endpoint.report import Report

pytestmark = pytest.mark.attack(36)
_SECOND = 10**9
WORD = st.integers(-(2**63), 2**63 - 1)


@pytest.fixture
def cell() -> Iterator[Cell]:
    made, fd = Cell.create()
    os.close(fd)
    yield made
    made.close()


@pytest.fixture
def account(cell: Cell) -> Account:
    """Of a worker that has been handed calls 1 to 5."""
    made = Account(cell, 10 * _SECOND)
    made.handed = 5
    return made


@pytest.mark.skipif(sys.platform != "linux", reason="seals are Linux's")
def test_a_worker_cannot_change_the_cells_size_nor_take_the_seals_away() -> None:
    cell, fd = Cell.create()
    for size in (0, 1 << 20):
        with pytest.raises(PermissionError):
            os.ftruncate(fd, size)
    with pytest.raises(PermissionError):
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    os.close(fd)
    cell.close()


@given(begun=st.one_of(WORD, st.integers(-1, 6)), at=WORD, now=st.integers(10 * _SECOND, 20 * _SECOND))
def test_whatever_stands_in_the_cell_is_a_lie_or_within_what_was_handed_over(
    begun: int, at: int, now: int
) -> None:
    cell, fd = Cell.create()
    os.close(fd)
    account = Account(cell, 10 * _SECOND)
    account.handed = 5
    cell.begin(begun, at)
    try:
        assert account.runs(3, now) == (begun >= 3)
        assert 0 <= account.running(3, now) <= 10
        assert 0 <= account.hold() <= 5
    except BadMessage:
        assert not 0 <= begun <= 5
    cell.close()


def test_it_cannot_go_back_before_a_call_that_was_reported(cell: Cell, account: Account) -> None:
    cell.begin(2, 10 * _SECOND)
    account.reported(2, Report(), 11 * _SECOND)
    cell.begin(1, 10 * _SECOND)
    with pytest.raises(BadMessage, match="call 1"):
        account.begun  # noqa: B018


def test_what_was_seen_to_begin_has_begun_whatever_is_written_later(cell: Cell, account: Account) -> None:
    cell.begin(1, 11 * _SECOND)
    assert account.runs(1, 12 * _SECOND)
    cell.begin(0, 99 * _SECOND)
    assert account.begun == 1
    assert account.running(1, 14 * _SECOND) == 3


def test_a_call_that_is_hidden_is_believed_to_run_after_a_while(cell: Cell, account: Account) -> None:
    assert not account.runs(1, 11 * _SECOND)
    assert not account.runs(1, 12 * _SECOND)
    assert account.runs(1, 17 * _SECOND)
    assert account.running(1, 19 * _SECOND) == 2


def test_a_worker_that_stays_ahead_of_what_it_reports_lies(cell: Cell, account: Account) -> None:
    cell.begin(3, 11 * _SECOND)
    for _ in range(20):
        account.runs(1, 12 * _SECOND)  # its report may be on its way
    with pytest.raises(BadMessage, match="has not reported call 1"):
        all(account.runs(1, 12 * _SECOND) for _ in range(40))


LIES: dict[str, Callable[[Account], None]] = {
    "a call that was not handed over": lambda account: account.reported(6, Report(), 11 * _SECOND),
    "longer than it lives": lambda account: account.reported(1, Report(run_time=1.5), 11 * _SECOND),
    "a negative time": lambda account: account.reported(1, Report(run_time=-1), 11 * _SECOND),
    "negative work": lambda account: account.reported(1, Report(cpu_time=-1), 11 * _SECOND),
    "more memory than there is": lambda account: account.reported(1, Report(peak_memory=2**63), 11 * _SECOND),
    "a failure that is not its to tell": lambda account: account.reported(
        1, Report("TaskLost"), 11 * _SECOND
    ),
    "a value over the limit": lambda account: account.reported(
        1, Report(payload=bytes(6 << 20)), 11 * _SECOND
    ),
    "left out though it was not held": lambda account: account.skipped(1),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_message_that_cannot_be_true_is_refused(account: Account, lie: str) -> None:
    with pytest.raises(BadMessage):
        LIES[lie](account)


def test_a_worker_held_twice_may_have_left_out_what_the_first_limit_forbade(
    cell: Cell, account: Account
) -> None:
    cell.begin(1, 11 * _SECOND)
    account.hold()
    assert not cell.begin(2, 12 * _SECOND)
    account.hold()
    account.reported(1, Report(), 13 * _SECOND)
    account.skipped(2)
    with pytest.raises(BadMessage):
        account.skipped(2)
