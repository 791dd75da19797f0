"""What a function's own code refers to: the names it loads, those it loads from them, and what it changes."""

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_CHANGES = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL"})
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"})
_STORES = frozenset({"STORE_ATTR", "DELETE_ATTR"})
_BETWEEN = frozenset({"CACHE", "EXTENDED_ARG", "PUSH_NULL", "NOP"})
_OBJECTS = _LOADS | {"LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW", "LOAD_DEREF", "LOAD_CLASSDEREF"}
#: With these, code looks for names that stand nowhere in it.
_LOOKING = frozenset(
    {
        "vars",
        "dir",
        "globals",
        "locals",
        "eval",
        "exec",
        "compile",
        "__dict__",
        "__globals__",
        "__getattribute__",
    }
    | {"attrgetter", "methodcaller", "inspect", "getmembers", "importlib", "import_module", "__import__"}
)
#: They look for the name that is given to them, which may stand there as a constant.
_BY_GIVEN_NAME = frozenset({"getattr", "hasattr"})
#: How a call of theirs goes on, by what was loaded last: these instructions load that.
_GIVEN: dict[str, tuple[tuple[frozenset[str], str], ...]] = {
    "function": ((_OBJECTS, "object"),),
    "object": ((_ATTRIBUTES, "object"), (frozenset({"LOAD_CONST"}), "name")),
    "name": ((_OBJECTS | {"LOAD_CONST", "LOAD_SMALL_INT"}, "default"),),
    "default": ((_ATTRIBUTES, "default"),),
}
#: Flags of code: of a function's, and, from Python 3.13 on, of one that has a docstring.
_NEW_LOCALS, _HAS_DOCSTRING = 0x2, 0x4000000
_CALLS = frozenset({"PRECALL", "CALL"})
#: With these, code may change namespaces, functions and modules, and no instruction says so.
_CHANGING = frozenset(
    {"globals", "vars", "locals", "exec", "eval", "compile", "setattr", "delattr", "__dict__", "__globals__"}
    | {"__setattr__", "__delattr__", "__import__", "importlib", "import_module", "__main__", "inspect", "gc"}
    | {"__defaults__", "__kwdefaults__", "__code__", "__closure__", "__builtins__", "builtins", "modules"}
    | {"update_wrapper", "wraps", "currentframe", "_getframe", "f_globals", "f_locals", "ctypes", "patch"}
)
#: They import what strings name.
_IMPORTING = frozenset({"import_module", "__import__"})
_IDENTIFIER = re.compile(r"[^\W\d]\w*")
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


class Import(NamedTuple):
    """An ``import`` in a function: its ``level`` (0: absolute), the module's name, what is taken from it."""

    level: int
    module: str
    names: tuple[str, ...]


class References(NamedTuple):
    """Of a code object with all that is nested in it.

    ``names``: globals, in the order they appear. ``attributes``: all names loaded from something.
    ``from_names``: those of them that are loaded straight from a global. ``values``: names of which something
    else is made than loading an attribute. ``strings``: constants that may be names, and names in those that
    it may evaluate. ``imports``: what it imports while it runs. ``looks``: whether it looks for names that
    are none of these. ``changes``: whether it may change a global, a variable of the function around it, or
    an attribute of anything.
    """

    names: tuple[str, ...]
    attributes: frozenset[str]
    from_names: frozenset[str]
    values: frozenset[str]
    strings: frozenset[str]
    imports: tuple[Import, ...]
    looks: bool
    changes: bool


_known: "WeakKeyDictionary[CodeType, References]" = WeakKeyDictionary()


def references_of(code: CodeType) -> References:
    """What this code refers to."""
    known = _known.get(code)
    if known is None:
        reader = _Reader()
        for part, operation, argument in _instructions(code):
            reader.meet(part, operation, argument)
        known = _known[code] = reader.found(frozenset(_strings(code)))
    return known


class _Reader:
    """Goes through the instructions of a code object and all that is nested in it."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}
        self._attributes: set[str] = set()
        self._from_names: set[str] = set()
        self._values: set[str] = set()
        self._imports: list[Import] = []
        self._constants: list[Any] = [None, None]
        self._changes = self._looks = False
        #: The name that was loaded last, or one of its attributes was; and whether it was the name itself.
        self._on_a_name: str | None = None
        self._is_bare = False
        #: What was loaded last for a call of `getattr`, or none is under way.
        self._given: str | None = None

    def meet(self, part: CodeType, operation: str, argument: Any) -> None:
        """The next instruction."""
        if operation in _BETWEEN:
            return
        by_constant = self._given == "object" and operation == "LOAD_CONST"
        self._follow_given(operation, argument)
        if operation in _ATTRIBUTES:
            self._attributes.add(argument)
            if self._on_a_name is not None:
                self._from_names.add(argument)
        elif self._is_bare and self._on_a_name is not None and not by_constant:
            self._values.add(self._on_a_name)
        if operation in _LOADS or operation in _CHANGES:
            self._names[argument] = None
        elif operation == "LOAD_CONST":
            self._constants = [self._constants[-1], argument]
        elif operation == "IMPORT_NAME":
            level, names = self._constants
            self._imports.append(Import(level or 0, argument, tuple(names or ())))
        stores = operation in ("STORE_DEREF", "DELETE_DEREF") and argument in part.co_freevars
        self._changes = self._changes or stores or operation in _CHANGES or operation in _STORES
        self._is_bare = operation in _LOADS
        if operation in _LOADS:
            self._on_a_name = argument
        elif operation not in _ATTRIBUTES:
            self._on_a_name = None

    def _follow_given(self, operation: str, argument: Any) -> None:
        """Whether each `getattr` is given its name as a constant, and nothing is made of that first."""
        if self._given is not None:
            following = _GIVEN[self._given]
            if operation in _CALLS:
                self._looks = self._looks or self._given not in ("name", "default")
                self._given = None
            else:
                self._given = next((state for kinds, state in following if operation in kinds), None)
                self._looks = self._looks or self._given is None
        if self._given is None and operation in _LOADS and argument in _BY_GIVEN_NAME:
            self._given = "function"

    def found(self, constants: frozenset[str]) -> References:
        """All that was met, in code with these constants."""
        imported = {word for one in self._imports for word in (*one.module.split("."), *one.names)}
        words = self._names.keys() | self._attributes | imported
        strings = {one for one in constants if _DOTTED.fullmatch(one)}
        if words & {"eval", "exec", "compile"}:
            strings.update(name for one in constants for name in _IDENTIFIER.findall(one))
        by_string = [Import(0, one, ()) for one in sorted(strings)] if words & _IMPORTING else ()
        parts = {part for one in strings for part in one.split(".")}
        return References(
            tuple(self._names),
            frozenset(self._attributes),
            frozenset(self._from_names),
            frozenset(self._values),
            frozenset(strings | parts),
            (*self._imports, *by_string),
            self._looks or not _LOOKING.isdisjoint(words | strings),
            self._changes or not _CHANGING.isdisjoint(words | strings),
        )


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple | frozenset):
        for one in value:
            yield from _strings(one)
    elif isinstance(value, CodeType):
        yield from _strings(value.co_consts[_has_docstring(value) :])


def _has_docstring(code: CodeType) -> bool:
    """Whether its first constant is one, in which every word may be the name of something."""
    if sys.version_info >= (3, 13):
        return bool(code.co_flags & _HAS_DOCSTRING)
    return bool(code.co_flags & _NEW_LOCALS) and not code.co_name.startswith("<")


def _instructions(code: CodeType) -> Iterator[tuple[CodeType, str, Any]]:
    import dis  # only where a function is serialised

    for instruction in dis.get_instructions(code):
        yield code, instruction.opname, instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _instructions(constant)


def cell_contents(function: FunctionType) -> list[Any]:
    """What the variables of the function around it hold; not those that are not set yet."""
    found = []
    for cell in function.__closure__ or ():
        with suppress(ValueError):
            found.append(cell.cell_contents)
    return found


def submodules_of(modules: Iterator[ModuleType], attributes: frozenset[str]) -> list[ModuleType]:
    """Imported submodules that code with these attributes can reach from these modules."""
    found: list[ModuleType] = []
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if not hasattr(module, "__path__"):
            continue
        for name in sorted(attributes):
            inner = sys.modules.get(f"{module.__name__}.{name}")
            if isinstance(inner, ModuleType) and inner not in found:
                found.append(inner)
                waiting.append(inner)
    return found
