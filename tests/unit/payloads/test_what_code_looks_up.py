"""What a function looks up by text, or imports while it runs, is there; what is not there is no default."""

import functools
import importlib
import operator
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.support.travelling import Elsewhere

from funcledger_payloads import SerializationError, dump_function, open_function
from funcledger_payloads.fingerprint import fingerprint_of

BESIDE = {
    "shed": """
        import threading
        CONST = 5
        LOCK = threading.Lock()
        class Holder:
            def __init__(self):
                self.lock = threading.Lock()
        HELD = Holder()
        calls = 0
        def doubled(x):
            return x * 2
        def under_lock(x):
            with LOCK:
                return x
        """,
    "barn/__init__": "",
    "barn/hay": """
        def bales():
            from . import straw
            from .straw import COUNT
            import barn.straw as again
            return straw.COUNT + COUNT + again.COUNT
        """,
    "barn/straw": "COUNT = 3",
    "attic": "DUST = 7",
    "broken_attic": "raise RuntimeError('no stairs')",
}
SCRIPT = """
import importlib, operator, shed

def with_default(): return getattr(shed, "CONST", 1)
def of_any_name(name): return getattr(shed, name, "none")
def of_a_made_name(): return getattr(shed, "".join(["CO", "NST"]), 1), getattr(shed, "CO" + "NST"[:3], 1)
def of_a_joined_name(end): return getattr(shed, "CO" + end, 1), getattr(shed, f"CO{end}")
def has(): return hasattr(shed, "CONST"), hasattr(shed, "NOT_THERE"), getattr(shed, "NOT_THERE", 4)
def through_vars(): return vars(shed)["CONST"], shed.__dict__.get("calls", 1)
def through_a_getter(): return operator.attrgetter("CONST")(shed)
def given(module, name): return getattr(module, name, "none")
def named(module): return module.CONST
def listed(module): return sorted(set(dir(module)) & {"CONST", "calls", "doubled"})
def alias():
    module = shed
    return module.CONST
TABLE = {"module": shed}
def from_a_table(): return TABLE["module"].doubled(4)
NUMBER = 7
def of_globals(): return globals().get("NUMBER", 0), "NUMBER" in globals(), eval("NUMBER + shed.CONST")
def imports():
    try:
        import shed as found
    except ImportError:
        return -1
    return found.CONST
def imports_from():
    try:
        from shed import CONST
    except ImportError:
        CONST = -1
    return CONST
def imports_a_new_one():
    import attic
    return attic.DUST
def imports_by_text(): return importlib.import_module("shed").CONST
def imports_what_breaks():
    import broken_attic
def which_are_left():
    import sys
    return sorted({"shed", "attic", "barn", "barn.hay", "barn.straw"} & set(list(sys.modules)))
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """A script with modules beside it."""
    place = tmp_path_factory.mktemp("beside")
    for name, text in {**BESIDE, "script_with_shed": SCRIPT}.items():
        path = place / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
    before = set(sys.modules)
    sys.path.insert(0, str(place))
    try:
        yield importlib.import_module("script_with_shed")
    finally:
        sys.path.remove(str(place))
        for name in set(sys.modules) - before:
            if str(place) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    with Elsewhere() as process:
        yield process


@pytest.mark.law(13)
@pytest.mark.parametrize("serializer", [None, "dill"])
def test_a_look_up_gives_there_what_it_gives_here(
    elsewhere: Elsewhere, script: Any, serializer: str | None
) -> None:
    calls: list[tuple[Any, ...]] = [(script.of_any_name, "CONST"), (script.of_any_name, "NOT_THERE")]
    calls += [(script.of_a_made_name,), (script.of_a_joined_name, "NST")]
    calls += [(script.given, script.shed, name) for name in ("CONST", "NOT_THERE")]
    calls += [(function, script.shed) for function in (script.named, script.listed)]
    calls += [(functools.partial(script.given, script.shed), "calls")]
    plain = (
        "with_default has through_vars through_a_getter alias from_a_table of_globals imports imports_from"
    )
    calls += [(getattr(script, name),) for name in (*plain.split(), "imports_a_new_one", "imports_by_text")]
    calls += [(importlib.import_module("barn.hay").bales,)]
    for function, *args in calls:
        assert elsewhere.call(function, *args, serializer=serializer) == function(*args), function


@pytest.mark.law(13)
def test_what_could_not_travel_is_an_error_and_no_default(elsewhere: Elsewhere, script: Any) -> None:
    for name in ("LOCK", "HELD", "under_lock"):
        with pytest.raises(SerializationError, match=rf"shed\.{name} did not come with the call: .* a lock"):
            elsewhere.call(script.of_any_name, name)


@pytest.mark.law(13)
def test_what_a_call_imports_is_importable_during_that_call_alone(elsewhere: Elsewhere, script: Any) -> None:
    assert elsewhere.call(script.imports) == 5
    assert elsewhere.call(script.which_are_left) == []


def test_a_module_that_cannot_be_imported_here_is_refused_with_a_sentence(script: Any) -> None:
    with pytest.raises(
        SerializationError, match="imports the module broken_attic, which raises RuntimeError"
    ):
        dump_function(script.imports_what_breaks)


def test_a_module_never_hides_an_installed_one(
    elsewhere: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`packaging` is installed there; here the user's own module of that name stands in its place."""
    cells: dict[str, Any] = {"__name__": "notebook"}
    exec("def uses():\n    import packaging\n    return packaging.MINE", cells)
    mine = ModuleType("packaging")
    mine.__file__, mine.MINE = str(tmp_path / "packaging.py"), 1  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "packaging", mine)
    with pytest.raises(Exception, match=r"imports a module packaging of its own .* rename it"):
        elsewhere.call(cells["uses"])


@pytest.mark.law(13)
def test_a_fingerprint_sees_what_is_looked_up(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    changes: list[tuple[Callable[..., Any], Any, str]] = [
        (script.with_default, script.shed, "CONST"),
        (script.of_any_name, script.shed, "CONST"),
        (script.of_any_name, script.shed, "NEW"),
        (script.imports, script.shed, "CONST"),
        (script.of_globals, script, "NUMBER"),
    ]
    for function, place, name in changes:
        fingerprint = fingerprint_of(function)
        assert fingerprint is not None
        assert fingerprint.holds()
        with monkeypatch.context() as changed:
            changed.setattr(place, name, 99, raising=False)
            assert not fingerprint.holds(), (function, name)


MEANS_OF_CHANGE = """
    globals()["a"] = x
    job.__dict__.setdefault("a", x)
    setattr(job, "a", x)
    job.a = x
    del job.a
    exec("a = 1", globals())
    import __main__; __main__.a = x
    import shed; shed.calls = 1
    (lambda: setattr(job, "a", x))()
    job.__kwdefaults__["a"] = x
"""


@pytest.mark.law(13)
@pytest.mark.parametrize("line", MEANS_OF_CHANGE.strip().splitlines())
def test_a_function_with_means_of_change_is_opened_for_each_call(script: Any, line: str) -> None:
    cells: dict[str, Any] = {"__name__": "notebook"}
    exec(f"def job(x):\n    {line.strip()}\ndef outer(x):\n    return job(x)", cells)
    assert open_function(dump_function(cells["job"]).bytes).stateful
    assert open_function(dump_function(cells["outer"]).bytes).stateful


def test_words_of_a_docstring_are_no_names(script: Any) -> None:
    """Else whatever is called so would have to be able to travel."""
    cells: dict[str, Any] = {"__name__": "notebook", "lock": script.shed.LOCK}
    exec("def job():\n    'Needs no lock'\n    return eval('1 + 1')", cells)
    assert open_function(dump_function(cells["job"]).bytes).call() == 2


def test_one_without_is_kept() -> None:
    for function in (operator.add, lambda x: len(x) + 1, lambda x: getattr(x, "real", 0)):
        assert not open_function(dump_function(function).bytes).stateful
