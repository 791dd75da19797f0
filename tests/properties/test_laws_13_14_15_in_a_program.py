"""Laws 13, 14 and 15 in one program: it defines, submits, forks, reloads, drops executors and is interrupted.

The model is a call on this machine at the moment of submission. Whatever happens in between, and in whichever
process it is read, each future gives that value or that error, or the interrupted call has no future.
"""

import contextlib
import signal
import textwrap
import weakref
from collections.abc import Callable
from functools import cache, partial
from threading import Event, Thread, get_ident
from typing import Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.support.deadlines import scaled
from tests.support.forking import forked
from tests.support.service import Service, service

from funcledger import Client, Executor
from funcledger.errors import DeserializationError
from funcledger.futures import TaskFuture

CELLS = """
LIMIT = 0

class Config:
    alpha = 0
    def scaled(self, x):
        return x * 10 + self.alpha

class Failed(Exception):
    pass

class Exits:
    def __reduce__(self):
        return exec, ("raise SystemExit(7)",)

def helper(x):
    return x + 1

def job(x):
    return helper(x) + LIMIT

def make(x):
    return Config()

def scale(x):
    return Config().scaled(x), LIMIT

def fails(x):
    raise Failed(x, LIMIT)

def exits(x):
    return Exits()
"""
JOBS = ("job", "make", "scale", "fails", "exits")
SMALL = st.integers(0, 3)


class Submitted(NamedTuple):
    """A call in the task group of an executor, and what it is to give."""

    future: TaskFuture
    group: str
    expected: "Outcome"


class Outcome(NamedTuple):
    """Of a call, such that two of them can be compared: the type, and what it holds."""

    kind: Any
    value: Any


def outcome(call: Callable[[], Any]) -> Outcome:
    """What it gives or raises."""
    try:
        value = call()
    except Exception as error:
        # A value that cannot be read says why, at length.
        return Outcome(type(error), None if isinstance(error, DeserializationError) else error.args)
    return Outcome(type(value), vars(value) if hasattr(value, "scaled") else value)


@cache
def running() -> tuple[contextlib.ExitStack, Service]:
    """One server with one endpoint for all programs."""
    stack = contextlib.ExitStack()
    started = stack.enter_context(service())
    stack.enter_context(started.endpoint("lab", workers=1))
    return stack, started


def teardown_module() -> None:
    running()[0].close()


def interrupted(seconds: float, block: Callable[[], None]) -> None:
    """Ctrl-C so many seconds after the block has begun, or not at all; pytest-timeout has the timer."""
    over, program = Event(), get_ident()

    def interrupt() -> None:
        if not over.wait(seconds):
            signal.pthread_kill(program, signal.SIGUSR1)

    usual = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    thread = Thread(target=interrupt)
    try:
        thread.start()
        block()
        over.set()
        thread.join()
    except KeyboardInterrupt:
        return
    finally:
        over.set()
        thread.join()
        signal.signal(signal.SIGUSR1, usual)


class Program(RuleBasedStateMachine):
    """A program of one user that runs for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.client: Client = running()[1].client()
        self.cells: dict[str, Any] = {"__name__": "notebook"}
        self.executor = Executor("lab", self.client)
        self.submitted: list[Submitted] = []
        self.by_id: list[tuple[str, Outcome]] = []
        self.dropped: list[weakref.ref[Executor]] = []

    @initialize()
    def begin(self) -> None:
        exec(CELLS, self.cells)

    def locally(self, name: str, x: int) -> Outcome:
        found = outcome(lambda: self.cells[name](x))
        return Outcome(DeserializationError, None) if name == "exits" else found

    @rule(number=SMALL)
    def define(self, number: int) -> None:
        self.cells["LIMIT"] = number
        exec(f"def helper(x):\n    return x * {number}", self.cells)

    @rule(number=SMALL)
    def redefine_classes(self, number: int) -> None:
        cell = f"""
            class Failed(Exception):
                code = {number}
            class Config:
                alpha = {number}
                def scaled(self, x):
                    return x * {number} + self.alpha
        """
        exec(textwrap.dedent(cell), self.cells)

    @rule(name=st.sampled_from(JOBS), x=SMALL)
    def submit(self, name: str, x: int) -> None:
        expected = self.locally(name, x)
        future = self.executor.submit(self.cells[name], x)
        self.submitted.append(Submitted(future, self.executor.task_group_id, expected))

    @rule(name=st.sampled_from(JOBS), x=SMALL)
    def run_by_id(self, name: str, x: int) -> None:
        function = self.client.register_function(self.cells[name])
        task = self.client.run(x, endpoint_id="lab", function_id=function)
        self.by_id.append((task, self.locally(name, x)))

    @rule()
    def read(self) -> None:
        for each in self.submitted:
            assert outcome(partial(each.future.result, scaled(20))) == each.expected
        for task, expected in self.by_id:
            assert outcome(partial(self.client.get_result, task, timeout=scaled(20))) == expected

    @rule(name=st.sampled_from(JOBS), x=SMALL)
    def fork(self, name: str, x: int) -> None:
        """Both go on: the child with what it has from the parent too."""

        def child() -> None:
            self.submit(name, x)
            self.read()
            self.executor.shutdown()

        ended = forked(child, 30)
        self.submit(name, x)
        self.read()
        ended()

    @rule()
    def reload(self) -> None:
        """Another executor takes up the group; it knows each task by its id."""
        group = self.executor.task_group_id
        wanted = {each.future.task_id: each.expected for each in self.submitted if each.group == group}
        if wanted:
            self.read()  # the server knows no group of which it has no task
            other = Executor("lab", self.client)
            loaded = {future.task_id: future for future in other.reload_tasks(group)}
            for task, expected in wanted.items():
                assert outcome(loaded[task].result) == expected
            self.executor.shutdown()
            self.executor = other

    @rule()
    def drop(self) -> None:
        """Nobody shuts it down; its futures are still somebody's."""
        self.dropped.append(weakref.ref(self.executor))
        self.executor = Executor("lab", self.client)

    @rule(name=st.sampled_from(JOBS), x=SMALL, microseconds=st.integers(1, 3000))
    def interrupt(self, name: str, x: int, microseconds: int) -> None:
        """While it submits, and while it waits."""

        def submit_and_wait() -> None:
            self.submit(name, x)
            self.submitted[-1].future.exception(scaled(20))

        interrupted(microseconds / 1e6, submit_and_wait)

    def teardown(self) -> None:
        """Nothing that was submitted is waited for in vain."""
        self.read()
        ending = Thread(target=self.executor.shutdown, daemon=True)
        ending.start()
        ending.join(scaled(20))
        assert not ending.is_alive()
        for left in self.dropped:
            if (executor := left()) is not None:
                executor.shutdown(wait=False)
        self.client.close()


#: Ctrl-C while a socket is being connected leaves it to be collected.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
TestProgram = pytest.mark.law(13)(pytest.mark.law(14)(pytest.mark.law(15)(Program.TestCase)))
TestProgram.settings = settings(max_examples=12, stateful_step_count=14, deadline=None)
