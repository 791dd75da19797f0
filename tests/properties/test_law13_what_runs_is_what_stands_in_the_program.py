"""Law 13: a call runs what stands in the program when it is submitted, or, by id, when it was registered.

A notebook is edited and its calls are submitted; the model is a call on this machine.
"""

import copy
import textwrap
from functools import cache
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.support.travelling import Elsewhere

from funcledger.local_functions import LocalFunction, LocalFunctions
from funcledger.submission import serialise
from funcledger_payloads import dump_function

CELLS = """
LIMIT = 0
TABLE = {"a": [0]}

class Config:
    alpha = 0
    def scaled(self, x):
        return x * 10 + self.alpha

class Failed(Exception):
    pass

def helper(x):
    return x + 1

def other(n):
    return helper(n) if n < 2 else job(n - 2)

def job(x):
    return helper(x) + LIMIT

def with_class(config):
    return isinstance(config, Config), Config.alpha, config.scaled(2)

def with_table(x):
    TABLE["a"].append(x)
    return len(TABLE["a"]), TABLE["a"][0]

def counting(x):
    global LIMIT
    LIMIT += 1
    return LIMIT

def fails(x):
    raise Failed(x, LIMIT)

def defaults(x, more=[0]):
    more.append(x)
    return more

def closing(number):
    def inner(x):
        return x + number + LIMIT
    return inner

closed = closing(0)

def reflecting(x):
    if "seen" not in globals():
        globals()["seen"] = x
    helper.__dict__.setdefault("first", x)
    return x - globals()["seen"], x - helper.first, globals().get("LIMIT", -1), eval("TABLE['a'][0]")
"""
JOBS = ("job", "other", "with_table", "counting", "fails", "defaults", "closed", "reflecting")
SMALL = st.integers(0, 3)


@cache
def worker() -> Elsewhere:
    """One for all notebooks, as a worker serves many: what it has met is not to matter."""
    return Elsewhere()


def teardown_module() -> None:
    worker().__exit__(None, None, None)


class Notebook(RuleBasedStateMachine):
    """Cells are run again, globals and classes changed, functions registered and called.

    A second program has its calls in the same worker.
    """

    def __init__(self) -> None:
        super().__init__()
        self.functions = LocalFunctions()
        self.bodies: dict[str, bytes] = {}
        self.registered: list[tuple[bytes, Any]] = []
        self.cells: dict[str, Any] = {"__name__": "notebook"}
        self.calls = self.codes = 0
        self.second: dict[str, Any] = {"__name__": "notebook"}
        self.functions_of_the_second = LocalFunctions()

    @initialize()
    def begin(self) -> None:
        self.run(CELLS)
        exec(CELLS, self.second)

    def run(self, text: str) -> None:
        exec(textwrap.dedent(text), self.cells)
        self.codes += 1

    @rule(number=SMALL)
    def change_a_constant(self, number: int) -> None:
        self.cells["LIMIT"] = number

    @rule(number=SMALL)
    def change_a_table(self, number: int) -> None:
        self.cells["TABLE"]["a"][0] = number

    @rule(number=SMALL)
    def change_an_attribute(self, number: int) -> None:
        self.cells["Config"].alpha = number

    @rule(number=SMALL)
    def run_the_cell_of_the_helper(self, number: int) -> None:
        self.run(f"def helper(x):\n    return x + {number} * 100")

    @rule(number=SMALL)
    def run_the_cell_of_the_job(self, number: int) -> None:
        self.run(f"def job(x):\n    return helper(x) * {number} + LIMIT")

    @rule(number=SMALL)
    def run_the_cell_of_the_classes(self, number: int) -> None:
        self.run(f"""
            class Failed(Exception):
                code = {number}
            class Config:
                alpha = {number}
                def scaled(self, x):
                    return x * {number} + self.alpha
        """)

    @rule(number=SMALL)
    def change_a_method(self, number: int) -> None:
        self.run(f"def scaled(self, x):\n    return {number}\nConfig.scaled = scaled")

    @rule(number=SMALL)
    def close_over_another_number(self, number: int) -> None:
        self.cells["closed"] = self.cells["closing"](number)

    @rule(name=st.sampled_from(JOBS), x=SMALL)
    def submit(self, name: str, x: int) -> None:
        assert self.remotely(self.cells[name], x) == self.locally(name, x)

    @rule(x=SMALL)
    def submit_in_the_second_program(self, x: int) -> None:
        known, form = self.functions_of_the_second.of(self.second["reflecting"])
        assert known.payload is not None
        assert worker().make(known.payload.bytes, *serialise((x,), {}, function=form)) == (0, 0, 0, 0)

    @rule()
    def submit_with_an_instance(self) -> None:
        found = self.remotely(self.cells["with_class"], self.cells["Config"]())
        assert found == self.cells["with_class"](self.cells["Config"]())

    @rule()
    def get_an_instance_back(self) -> None:
        """It is of the class that stands here, and is so again when it goes there once more."""
        back = self.call(self.cells["Config"])
        assert type(back) is self.cells["Config"]
        assert self.remotely(self.cells["with_class"], back) == self.cells["with_class"](back)

    @rule(name=st.sampled_from(["job", "other", "closed"]))
    def register(self, name: str) -> None:
        self.registered.append((dump_function(self.cells[name]).bytes, self.locally(name, 1)))

    @rule(data=st.data())
    def run_by_id(self, data: st.DataObject) -> None:
        if self.registered:
            body, then = data.draw(st.sampled_from(self.registered))
            assert worker().make(body, *serialise((1,), {})) == then

    def call(self, function: Any, *args: Any) -> Any:
        """As an executor does it: a form of its own only where it differs from what is registered."""
        known, form = self.functions.of(function)
        self.calls += 1
        body = self.bodies.setdefault(known.function_id, known.payload.bytes if known.payload else b"")
        return worker().make(body, *serialise(args, {}, function=form))

    def remotely(self, function: Any, *args: Any) -> Any:
        try:
            return self.call(function, *args)
        except self.cells["Failed"] as error:
            return error.args

    def locally(self, name: str, x: int) -> Any:
        """What a call here gives, which changes nothing here: nor does one elsewhere."""
        cells = self.cells
        kept = cells["LIMIT"], copy.deepcopy(cells["TABLE"]), list(cells["defaults"].__defaults__[0])
        try:
            return copy.deepcopy(cells[name](x))
        except cells["Failed"] as error:
            return error.args
        finally:
            cells.pop("seen", None)
            vars(cells["helper"]).pop("first", None)
            cells["LIMIT"] = kept[0]
            cells["TABLE"]["a"][:] = kept[1]["a"]
            cells["defaults"].__defaults__[0][:] = kept[2]


TestNotebook = pytest.mark.law(13)(pytest.mark.fault(32)(Notebook.TestCase))
TestNotebook.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)


@pytest.mark.law(13)
def test_a_global_that_changes_with_each_call_registers_one_function() -> None:
    cells: dict[str, Any] = {"__name__": "notebook", "n": 0}
    exec("def job(x):\n    return x + n", cells)
    functions = LocalFunctions()
    ids, forms = set(), set()
    for cells["n"] in range(1000):
        known, form = functions.of(cells["job"])
        ids.add(known.function_id)
        forms.add(form)
    assert len(ids) == 1
    assert len(forms) == 1000
    assert isinstance(known, LocalFunction)


@pytest.mark.law(13)
def test_closures_made_in_a_loop_register_one_function_and_other_code_another() -> None:
    functions = LocalFunctions()
    assert len({functions.of(lambda x, n=n: x + n)[0].function_id for n in range(100)}) == 1
    assert functions.of(lambda x: x)[0] is not functions.of(lambda x: x + 1)[0]


@pytest.mark.law(13)
def test_a_large_form_that_comes_again_is_registered_and_no_longer_sent() -> None:
    cells: dict[str, Any] = {"__name__": "notebook", "table": b""}
    exec("def job():\n    return len(table)", cells)
    functions = LocalFunctions()
    first, _ = functions.of(cells["job"])
    cells["table"] = bytes(100_000)
    assert functions.of(cells["job"])[0] is first
    cells["table"] = b""
    assert functions.of(cells["job"]) == (first, None)
    cells["table"] = bytes(100_000)
    second, form = functions.of(cells["job"])
    assert second is not first
    assert form is None
