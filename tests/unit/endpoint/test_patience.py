"""An agent's patience is the same for every way of writing down what is to be tried."""

from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from funcledger_endpoint.patience import patiently
from funcledger_event_log.port import LogUnavailable


class Log:
    """Unavailable at first."""

    def __init__(self, failures: int) -> None:
        self._failures = failures

    async def ask(self) -> str:
        self._failures -= 1
        if self._failures >= 0:
            raise LogUnavailable("away")
        return "answer"


@pytest.mark.parametrize("failures", [0, 1, 2])
@pytest.mark.parametrize(
    "written", [lambda log: log.ask, lambda log: partial(log.ask), lambda log: lambda: log.ask()]
)
async def test_what_failed_for_want_of_the_log_is_tried_until_it_answers(
    written: Callable[[Log], Callable[[], Awaitable[str]]], failures: int
) -> None:
    assert await patiently("asking", written(Log(failures))) == "answer"
