"""Whether anything that a function refers to has changed since it was last written, without writing it again.

It may err only towards saying so: what is not understood counts as changed. What cannot change is compared by
identity; lists, arrays and instances by their pickle; classes by what their dictionaries hold.
"""

import functools
import io
import pickle
import sys
from collections.abc import Callable, Iterable
from operator import is_
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, ModuleType
from typing import Any

from funcledger_payloads.imports import imported_by
from funcledger_payloads.installed import has_a_name, is_module_installed
from funcledger_payloads.modules import HOOKS, OF_IMPORTS
from funcledger_payloads.references import references_of
from funcledger_payloads.refusals import is_refused, refuse

_ABSENT = object()
_FIXED = frozenset(
    {int, float, complex, str, bytes, bool, type(None), type(...), BuiltinFunctionType, CodeType}
)
_LRU_CACHE = type(functools.lru_cache(lambda: None))
#: What stands for itself in data.
_CODE = (type, FunctionType, ModuleType, _LRU_CACHE)
_PARTS: dict[type, Callable[[Any], Iterable[Any]]] = {
    tuple: lambda value: value,
    frozenset: lambda value: value,
    staticmethod: lambda method: (method.__func__,),
    classmethod: lambda method: (method.__func__,),
    property: lambda prop: (prop.fget, prop.fset, prop.fdel),
    functools.cached_property: lambda prop: (prop.func,),
}
#: What the interpreter itself keeps in a class.
_OF_CLASSES = frozenset({"__dict__", "__weakref__", "_abc_impl"})


class Fingerprint:
    """What a function, and all of the user's that it refers to, was when this was made."""

    def __init__(self, function: FunctionType, modules: list[ModuleType], *, careful: bool = False) -> None:
        """``careful`` leaves out what is only perhaps looked for in ``modules``, and could not travel.

        Raises whatever its data raises when it is pickled: then there is no fingerprint of it.
        """
        self._careful = careful
        self._functions: list[tuple[Any, ...]] = []
        self._bindings: list[tuple[dict[str, Any], str, Any]] = []
        self._sizes: list[tuple[Any, int]] = []
        self._cells: list[tuple[CellType, Any]] = []
        self._classes: list[tuple[type, tuple[str, ...], tuple[Any, ...]]] = []
        self._data: list[Any] = []
        #: Keeps all of it, so that an identity stays what it was.
        self._seen: dict[int, Any] = {}
        self._modules = modules
        #: Identities of modules that code has under a name and does nothing with but to load from it.
        self._named: set[int] = set()
        self._given_away: set[int] = set()
        self._attributes: set[str] = set()
        self._looks = False
        #: The globals of functions that may look for them as text.
        self._namespaces: list[dict[str, Any]] = []
        self._looked_for: set[tuple[int, str]] = set()
        self._visit(function)
        self._visit_modules()
        self._bytes = b""
        looked_at = -1
        while looked_at != len(self._data):  # data may hold code, which refers to more data
            looked_at = len(self._data)
            self._bytes = self._pickled(self._visit)
            self._visit_modules()

    def holds(self) -> bool:
        """Whether all of it is as it was."""
        for function, code, defaults, keywords, own in self._functions:
            if (
                function.__code__ is not code
                or function.__defaults__ is not defaults
                or function.__kwdefaults__ is not keywords
                or function.__dict__ is not own
            ):
                return False
        for there, name, value in self._bindings:
            if there.get(name, _ABSENT) is not value:
                return False
        return not (self._sizes or self._cells or self._classes or self._data) or self._rest_holds()

    def _rest_holds(self) -> bool:
        for cell, value in self._cells:
            if _contents(cell) is not value:
                return False
        for mapping, size in self._sizes:
            if len(mapping) != size:
                return False
        for kind, names, values in self._classes:
            now = vars(kind)
            if tuple(now) != names or not all(map(is_, now.values(), values)):
                return False
        try:
            return not self._data or self._pickled(_ignore) == self._bytes
        except Exception:  # it could be pickled before: it has changed
            return False

    def _visit(self, value: Any) -> None:
        kind = type(value)
        if kind in _FIXED or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, _CODE):
            self._visit_code(value)
        elif kind in _PARTS:
            for part in _PARTS[kind](value):
                self._visit(part)
        else:
            self._data.append(value)

    def _visit_code(self, value: Any) -> None:
        """What is installed is not looked into."""
        if isinstance(value, ModuleType):
            if not is_module_installed(value):
                self._modules.append(value)
        elif isinstance(value, _LRU_CACHE):
            self._visit_dictionary(vars(value))
        elif value.__module__ == "builtins" or has_a_name(value):
            return
        elif isinstance(value, FunctionType):
            self._visit_function(value)
        else:
            self._visit_class(value)

    def _visit_function(self, function: FunctionType) -> None:
        about = references_of(function.__code__)
        self._attributes |= about.attributes | about.strings
        if about.looks:
            self._looks = True
            self._namespaces.append(function.__globals__)
        keywords = function.__kwdefaults__
        self._functions.append(
            (function, function.__code__, function.__defaults__, keywords, function.__dict__)
        )
        self._visit(function.__defaults__)
        if keywords:
            self._visit_dictionary(keywords)
        self._visit_dictionary(vars(function))
        for name in about.names:
            if type(module := function.__globals__.get(name)) is ModuleType:
                (self._given_away if name in about.values else self._named).add(id(module))
            self._bind(function.__globals__, name)
        for module in imported_by(function):
            self._named.add(id(module))
            self._bind(sys.modules, module.__name__)
        for cell in function.__closure__ or ():
            value = _contents(cell)
            self._cells.append((cell, value))
            self._named.add(id(value))
            self._visit(value)

    def _visit_dictionary(self, mapping: dict[str, Any]) -> None:
        self._sizes.append((mapping, len(mapping)))
        for name in list(mapping):
            self._bind(mapping, name)

    def _bind(self, there: dict[str, Any], name: str, *, perhaps: bool = False) -> None:
        """What stands there under this name; what is ``perhaps`` looked for need not be able to travel."""
        value = there.get(name, _ABSENT)
        self._bindings.append((there, name, value))
        if value is not _ABSENT and not (perhaps and self._stays_behind(value)):
            self._visit(value)

    def _stays_behind(self, value: Any) -> bool:
        """Whether it is left out where it is only perhaps looked for: then only its identity counts."""
        if not self._careful or type(value) in _FIXED or type(value) is ModuleType:
            return is_refused(value)
        from funcledger_payloads.by_value import what_is_wrong

        return id(value) not in self._seen and what_is_wrong(value) is not None

    def _visit_class(self, kind: type) -> None:
        attributes = dict(vars(kind))
        self._classes.append((kind, tuple(attributes), tuple(attributes.values())))
        self._visit(type(kind))
        for base in kind.__bases__:
            self._visit(base)
        for name, value in attributes.items():
            if name not in _OF_CLASSES and not hasattr(type(value), "__objclass__"):
                self._visit(value)

    def _visit_modules(self) -> None:
        """Everything that the code reached so far may look for in the user's modules, and as text."""
        while True:
            found = [(vars(module), name) for module in self._modules for name in self._names_in(module)]
            if self._looks:
                found += [(there, name) for there in self._namespaces for name in sorted(self._attributes)]
            new = [one for one in found if (id(one[0]), one[1]) not in self._looked_for]
            if not new:
                return
            for there, name in new:
                self._looked_for.add((id(there), name))
                if type(module := there.get(name)) is ModuleType:
                    self._named.add(id(module))
                self._bind(there, name, perhaps=True)

    def _names_in(self, module: ModuleType) -> list[str]:
        """As ``by_value.Pickler`` finds them, or more."""
        if self._looks or id(module) in self._given_away or id(module) not in self._named:
            if (id(module), "") not in self._looked_for:
                self._looked_for.add((id(module), ""))
                self._sizes.append((vars(module), len(vars(module))))
            return sorted(self._attributes | (vars(module).keys() - OF_IMPORTS))
        return sorted(self._attributes | HOOKS)

    def _pickled(self, meet: Callable[[Any], None]) -> bytes:
        if not self._data:
            return b""
        file = io.BytesIO()
        _Data(file, meet).dump(tuple(self._data))
        return file.getvalue()


class _Data(pickle.Pickler):
    """Pickles data to be compared; of functions and classes in it, which one it is."""

    def __init__(self, file: io.BytesIO, meet: Callable[[Any], None]) -> None:
        super().__init__(file, 5)
        self._meet = meet

    def reducer_override(self, obj: Any) -> Any:
        """Code stands for itself here, and is looked at elsewhere."""
        refuse(obj)
        if isinstance(obj, _CODE):
            self._meet(obj)
            return int, (id(obj),)
        return NotImplemented


def _ignore(_: Any) -> None:
    """It was met before."""


def _contents(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _ABSENT


def fingerprint_of(function: Any) -> Fingerprint | None:
    """The fingerprint of a plain function; None where there is none, and only writing it again can tell."""
    if type(function) is not FunctionType:
        return None
    modules: list[ModuleType] = []
    try:
        return Fingerprint(function, modules)
    except Exception:  # whatever its data raises
        try:
            return Fingerprint(function, [], careful=True) if modules else None
        except Exception:
            return None
