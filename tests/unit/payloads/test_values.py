"""Values travel by pickle, by dill where pickle does not do, by JSON where that is asked for."""

import pickle
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.deadlines import scaled

from funcledger_payloads import (
    DeserializationError,
    SerializationError,
    code_of,
    dump,
    dump_arguments,
    dump_json,
    load,
)
from funcledger_payloads.container import HERE

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner) | st.frozensets(SCALARS)
    ),
    max_leaves=20,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def iter_nothing() -> Iterator[int]:
    yield from ()


@given(VALUES)
def test_any_value_comes_back(value: Any) -> None:
    payload_format, payload = dump(value)
    assert load(payload_format, payload) == value


@given(st.lists(VALUES, max_size=3), st.dictionaries(st.text(), VALUES, max_size=3))
def test_any_arguments_come_back(args: list[Any], kwargs: dict[str, Any]) -> None:
    assert load(*dump_arguments(args, kwargs)) == (tuple(args), kwargs)


@given(JSON)
def test_any_json_comes_back(value: Any) -> None:
    assert load(*dump_json(value)) == value


def test_pickle_comes_first_and_code_by_value_says_who_can_read_it() -> None:
    assert dump([1, "a"])[0] == "pickle"
    assert code_of(*dump([1, "a"])) is None
    payload_format, payload = dump(lambda x: x + 1)
    assert payload_format == "code/1"
    assert code_of(payload_format, payload) == f"{HERE} cloudpickle-{metadata.version('cloudpickle')}"
    assert load(payload_format, payload)(1) == 2
    assert load(*dump(partial(lambda x, y: x - y, 5)))(3) == 2


def test_text_that_merely_mentions_the_main_module_comes_back_all_the_same() -> None:
    assert load(*dump("if __name__ == '__main__':")) == "if __name__ == '__main__':"


def test_dill_leaves_the_pickle_module_as_it_was() -> None:
    assert code_of(*dump(lambda: None, "dill")) == f"{HERE} dill-{metadata.version('dill')}"
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(lambda: None)


@pytest.mark.fault(34)
def test_plain_data_comes_back_whatever_a_call_has_put_in_the_place_of_pickle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pickle, "dumps", None)
    monkeypatch.setattr(pickle, "loads", None)
    assert load(*dump((1, "a"))) == (1, "a")


@pytest.mark.parametrize(
    ("args", "kwargs", "named"),
    [
        ((1, iter_nothing()), {}, "argument 2 cannot"),
        ((), {"data": {"a": [0, iter_nothing()]}}, r"argument 'data' \(at \['a'\]\[1\]\) cannot"),
        ((partial(print),), {"x": threading.current_thread}, None),
    ],
)
def test_an_argument_that_cannot_be_serialised_is_named(
    args: tuple[Any, ...], kwargs: dict[str, Any], named: str | None
) -> None:
    if named is None:
        dump_arguments(args, kwargs)
        return
    with pytest.raises(SerializationError, match=named):
        dump_arguments(args, kwargs)


def test_json_refuses_what_it_cannot_say_and_names_it() -> None:
    with pytest.raises(SerializationError, match=r"argument 'when'.* JSON"):
        dump_arguments((), {"when": object()}, dump_json)


@pytest.mark.parametrize(
    ("payload_format", "payload", "why"),
    [
        ("pickle", b"\x80", "cannot be read here"),
        ("json", b"{", "cannot be read here"),
        ("dill", b"", "cannot be read here"),
        ("pickle", b"cno_such_module\nname\n.", "'no_such_module' is not installed here"),
        ("yaml", b"a: 1", "unknown payload format 'yaml'"),
    ],
)
def test_bytes_that_cannot_be_read_say_why(payload_format: str, payload: bytes, why: str) -> None:
    with pytest.raises(DeserializationError, match=why):
        load(payload_format, payload)


def test_a_class_of_the_users_script_is_itself_again_when_it_returns(tmp_path: Path) -> None:
    """``except MyError`` and ``isinstance`` hold in the script, although the class travelled by value."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import subprocess, sys
        from dataclasses import dataclass
        from funcledger_payloads import dump, load
        @dataclass
        class Point:
            x: int
            def double(self): return Point(self.x * 2)
        worker = '''
        import sys
        from funcledger_payloads import dump, load
        value = [point.double() for point in load("code/1", sys.stdin.buffer.read())]
        sys.stdout.buffer.write(dump(value)[1])
        '''.replace("        ", "")
        payload_format, payload = dump([Point(1), Point(2)])
        assert payload_format == "code/1"
        command = [sys.executable, "-c", worker]
        back = subprocess.run(command, input=payload, stdout=subprocess.PIPE, check=True)
        assert load("code/1", back.stdout) == [Point(2), Point(4)], back
        assert type(load("code/1", back.stdout)[0]) is Point
        """)
    )
    subprocess.run([sys.executable, "-W", "error", str(script)], check=True, timeout=scaled(30))


def test_what_writes_code_is_not_imported_where_pickle_does() -> None:
    code = "import sys, funcledger_payloads as p; p.load(*p.dump_arguments((1, 'a'), {'b': [2.0]})); "
    code += "p.load_exception(p.dump_exception(ValueError(1))); "
    code += "print({'dill', 'cloudpickle'} & set(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=scaled(30)
    )
    assert ran.stdout.strip() == "set()"


SCRIPT = """
import pickle, subprocess, sys
from pathlib import Path
from funcledger_payloads import dump, dump_arguments, dump_function, load, load_exception

class Base:
    pass

class Point(Base):
    def __init__(self, x):
        super().__init__()
        self.x = x

class PointError(Exception):
    def __init__(self, point, why):
        super().__init__(why)

def mirror(point):
    assert isinstance(point, Point) and isinstance(Point(1), Base), type(point)
    if point.x < 0:
        raise PointError(point, "negative")
    return Point(-point.x)

def local():
    class Inner:
        pass
    return Inner()

inner = local()
good, bad = (dump_arguments((Point(x),), {})[1] for x in (3, -3))
sent = pickle.dumps((dump_function(mirror).bytes, good, bad, dump(inner)[1]))
back = subprocess.run([sys.executable, "worker.py"], input=sent, stdout=subprocess.PIPE, check=True)
result, raised, inner_back = pickle.loads(back.stdout)
value = load(*result)
assert type(value) is Point and value.x == -3, value
assert type(load_exception(raised)) is PointError, load_exception(raised)
assert type(load(*inner_back)) is type(inner)
assert not [name for name in vars(Point) if "funcledger" in name]
"""
WORKER = """
import pickle, sys
from funcledger_payloads import dump, dump_exception, load, load_function

function, good, bad, inner = pickle.load(sys.stdin.buffer)
mirror = load_function(function)
result = dump(mirror(*load("code/1", good)[0]))
try:
    mirror(*load("code/1", bad)[0])
except Exception as error:
    raised = dump_exception(error)
pickle.dump((result, raised, dump(load("code/1", inner))), sys.stdout.buffer)
"""


def test_a_class_is_the_same_class_in_function_arguments_result_and_exception(tmp_path: Path) -> None:
    """They travel apart, and the class with each of them."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "worker.py").write_text(WORKER)
    subprocess.run([sys.executable, "-W", "error", "script.py"], cwd=tmp_path, check=True, timeout=scaled(30))
