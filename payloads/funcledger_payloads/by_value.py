"""Code by value: cloudpickle, told what is installed, which class is which, and what must not travel.

A function is found with what its own code refers to. What is installed travels by its name and is never
entered; everything else, of ``__main__``, of a notebook, of a module beside the script, goes along.
"""

import enum
import functools
import io
import os
import pickle
import sys
import typing
import weakref
from abc import ABCMeta
from collections.abc import Callable, Hashable, Iterator
from dataclasses import KW_ONLY, MISSING
from itertools import chain
from threading import RLock
from types import BuiltinFunctionType, CodeType, FunctionType, MemberDescriptorType, ModuleType
from typing import Any, NamedTuple

import cloudpickle
from cloudpickle import cloudpickle as parts

from funcledger_payloads import rebuild
from funcledger_payloads.classes import classes_here, mark_of, shape_of
from funcledger_payloads.errors import SerializationError
from funcledger_payloads.installed import has_a_name, is_installed, is_module_installed
from funcledger_payloads.modules import ModuleUses, Plan, fill, until_settled
from funcledger_payloads.references import cell_contents, references_of, submodules_of
from funcledger_payloads.refusals import refuse, refuse_kind

PROTOCOL = 5
VERSION: str = cloudpickle.__version__
_LRU_CACHE = type(functools.lru_cache(lambda: None))
#: Of these no call can change what it was given; a cache gives the same values without being there.
_UNCHANGING = frozenset(
    {
        int,
        float,
        complex,
        str,
        bytes,
        bool,
        type(None),
        type(...),
        ModuleType,
        FunctionType,
        type(len),
        _LRU_CACHE,
    }
)


class Written(NamedTuple):
    """A value as bytes: whether they hold code, whether opening them again gives what a call may have changed
    (``stateful``), and what stays the same when only data changes (``definition``)."""

    payload: bytes
    holds_code: bool
    stateful: bool
    definition: Hashable


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Writes one value as planned, and notes what its code refers to."""

    def __init__(self, file: io.BytesIO, plan: Plan) -> None:
        super().__init__(file, PROTOCOL)
        self.uses = ModuleUses(plan)
        self._namespaces: dict[int, Any] = {}
        self.names: set[str] = set()
        self.holds_code = self.stateful = False

    @property
    def definition(self) -> Hashable:
        """What stays the same while only data changes that the value refers to."""
        return frozenset((*self.uses.codes, *self.names))

    def reducer_override(self, obj: Any) -> Any:
        """How to write what is not plain data."""
        kind = type(obj)
        if kind is FunctionType:
            return self._function(obj)
        if issubclass(kind, type):
            return self._class(obj)
        if kind is ModuleType:
            return self._module(obj)
        if kind is BuiltinFunctionType:
            self.names.add(f"{obj.__module__}.{obj.__qualname__}")
            return NotImplemented
        refuse(obj)
        special = SPECIAL.get(kind)
        return NotImplemented if special is None else special(obj)

    def _function(self, function: FunctionType) -> Any:
        if has_a_name(function):
            self.names.add(f"{function.__module__}.{function.__qualname__}")
            return NotImplemented
        self.holds_code = True
        code = function.__code__
        used, imported = self.uses.note_function(function)
        about = references_of(code)
        cells = function.__closure__
        values = cell_contents(function)
        state = {
            "__name__": function.__name__,
            "__qualname__": function.__qualname__,
            "__module__": function.__module__,
            "__doc__": function.__doc__,
            "__annotations__": annotations_of(function),
            "__defaults__": function.__defaults__,
            "__kwdefaults__": function.__kwdefaults__,
            "__closure__": cells,
            "__globals__": used,
            "_cloudpickle_submodules": imported
            + submodules_of(
                (one for one in chain(used.values(), values) if isinstance(one, ModuleType)), about.attributes
            ),
        }
        if not self.stateful:
            self.stateful = (
                about.changes
                or bool(imported)
                or not all(map(_is_constant, chain(used.values(), values, _kept_in(function))))
            )
        empty = tuple(parts._make_empty_cell() for _ in cells) if cells is not None else None
        made = (code, self._globals_of(function), None, None, empty)
        return parts._make_function, made, (dict(vars(function)), state), None, None, parts._function_setstate

    def _globals_of(self, function: FunctionType) -> Any:
        """Functions that share their globals here share them there."""
        there = function.__globals__
        known = self._namespaces.get(id(there))
        if known is None:
            name, package = there.get("__name__"), there.get("__package__")
            if vars(sys.modules[name]) is there if name in sys.modules else False:
                known = _Namespace(str(name), package)
            else:
                known = {"__name__": name, "__package__": package}
            self._namespaces[id(there)] = known
        return known

    def _class(self, kind: type) -> Any:
        if kind.__module__ == "builtins" or has_a_name(kind):
            self.names.add(f"{kind.__module__}.{kind.__qualname__}")
            return parts._class_reduce(kind) if kind.__module__ == "builtins" else NotImplemented
        if not kind.__flags__ & _ON_THE_HEAP:
            return NotImplemented  # of an extension module: by its name or not at all
        return self._class_by_value(kind)

    def _class_by_value(self, kind: type) -> Any:
        refuse_kind(kind)
        self.holds_code = self.stateful = True
        self.uses.codes.extend(value.__code__ for value in vars(kind).values() if type(value) is FunctionType)
        self.names.add(f"{kind.__module__}.{kind.__qualname__}")
        attributes = dict(parts._class_getstate(kind)[0])
        extra: dict[str, Any] = {}
        if issubclass(kind, enum.Enum):
            members = kind.__members__
            for name in (*members, *_OF_ENUMS):
                attributes.pop(name, None)
            extra["members"] = [(name, member.value) for name, member in members.items()]
            attributes["__funcledger_members__"] = {name: _own(member) for name, member in members.items()}
        else:
            if "__slots__" in attributes:
                slots = vars(kind)["__slots__"]
                extra["__slots__"] = slots if isinstance(slots, str) else tuple(slots)
            if typing.Generic in kind.__bases__:  # which asks how it was written
                extra["__orig_bases__"] = vars(kind)["__orig_bases__"]
        for name in [name for name, value in attributes.items() if type(value) is MemberDescriptorType]:
            del attributes[name]
        attributes.pop("__slots__", None)
        about = (mark_of(kind), shape_of(kind), type(kind), kind.__name__, kind.__bases__, kind.__module__)
        made = (*about, kind.__qualname__, extra)
        return rebuild.make_class, made, attributes, None, None, rebuild.fill_class

    def _module(self, module: ModuleType) -> Any:
        if is_module_installed(module):
            return parts.subimport, (module.__name__,)
        self.holds_code = True
        state = self.uses.written_of(module, what_is_wrong)
        if not all(map(_is_constant, state.values())):
            self.stateful = True
        made = (module.__name__, getattr(module, "__package__", None))
        return rebuild.make_module, made, state, None, None, rebuild.fill_module


def what_is_wrong(value: Any) -> str | None:
    """Why it cannot travel, with no more than what its code names: else there would be no end."""
    try:
        if not _is_constant(value) or type(value) is FunctionType:
            _settled(value, Plan(lean=True))
    except Exception as error:
        return str(error) if isinstance(error, SerializationError) else f"{type(error).__name__}: {error}"
    return None


#: Type flag of classes that a program makes, as opposed to those of C with no dictionary of their own.
_ON_THE_HEAP = 1 << 9
_OF_ENUMS = (
    "_generate_next_value_", "_member_names_", "_member_map_", "_value2member_map_", "_hashable_values_",
    "_unhashable_values_", "_unhashable_values_map_", "_member_type_", "_new_member_", "_use_args_",
    "__new__", "__new_member__", "_value_repr_",
)  # fmt: skip


def _own(member: enum.Enum) -> dict[str, Any]:
    """What an enum's member has beyond what every member has."""
    return {
        name: value
        for name, value in vars(member).items()
        if name not in ("_name_", "__objclass__", "_sort_order_", "_inverted_")
    }


def _is_constant(value: Any) -> bool:
    """Whether no call can change it: a plain value, a function, what is installed."""
    if type(value) in (tuple, frozenset):
        return all(map(_is_constant, value))
    if isinstance(value, type):
        return has_a_name(value)
    return type(value) in _UNCHANGING


def _kept_in(function: FunctionType) -> Iterator[Any]:
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    yield from vars(function).values()


def annotations_of(function: FunctionType) -> dict[str, Any]:
    """They may hold anything, and nobody evaluates them: what cannot travel is carried as its text."""
    return {
        name: value if type(value) is str or isinstance(value, type) or _can_travel(value) else repr(value)
        for name, value in function.__annotations__.items()
    }


def _can_travel(value: Any) -> bool:
    try:
        write(value)
    except Exception:
        return False
    return True


class _Namespace:
    """Stands for the globals of a user's module, which all its functions share with the module itself."""

    def __init__(self, name: str, package: str | None) -> None:
        self._about = name, package

    def __reduce__(self) -> Any:
        return rebuild.namespace, self._about


def _lru_cache(cached: Any) -> Any:
    function = getattr(cached, "__wrapped__", None)
    if type(function) is not FunctionType or has_a_name(cached):
        return NotImplemented
    state = {name: value for name, value in vars(cached).items() if name != "__wrapped__"}
    return rebuild.lru_cached, (function, cached.cache_parameters(), state | {"__wrapped__": function})


def _cached_property(prop: "functools.cached_property[Any]") -> Any:
    return rebuild.cached_property, (prop.func, prop.attrname)


def _type_variable(variable: Any) -> Any:
    """One of an installed module by name; one of the user's by what it is."""
    module, name = str(variable.__module__), str(variable.__name__)
    if is_installed(module) and getattr(sys.modules[module], name, None) is variable:
        return getattr, (sys.modules[module], name)
    if type(variable) is typing.TypeVar:
        return parts._make_typevar, parts._decompose_typevar(variable)
    return type(variable), (name,)


def _new_type(made: typing.NewType) -> Any:
    module = str(made.__module__)
    if is_installed(module) and getattr(sys.modules[module], str(made.__name__), None) is made:
        return NotImplemented
    return typing.NewType, (made.__name__, made.__supertype__)


def _code(code: CodeType) -> Any:
    """As cloudpickle has it, with the name of its file, which tracebacks print."""
    make, arguments = parts._code_reduce(code)
    return make, tuple(code.co_filename if one == "<dynamic-code>" else one for one in arguments)


def _stream(stream: Any) -> Any:
    """The program's own standard streams mean those of the worker; ``refuse`` has let no other file pass."""
    return getattr, (sys, "stdout" if stream is sys.stdout else "stderr")


#: How objects are written that pickle cannot write, or would write wrongly.
SPECIAL: dict[type, Callable[[Any], Any]] = {
    _LRU_CACHE: _lru_cache,
    functools.cached_property: _cached_property,
    type(MISSING): lambda _: (rebuild.dataclass_sentinel, ("MISSING",)),
    type(KW_ONLY): lambda _: (rebuild.dataclass_sentinel, ("KW_ONLY",)),
    weakref.WeakKeyDictionary: lambda weak: (rebuild.weak_dictionary, ("WeakKeyDictionary", dict(weak))),
    weakref.WeakValueDictionary: lambda weak: (rebuild.weak_dictionary, ("WeakValueDictionary", dict(weak))),
    typing.TypeVar: _type_variable,
    typing.ParamSpec: _type_variable,
    typing.TypeVarTuple: _type_variable,
    typing.NewType: _new_type,
    CodeType: _code,
    io.TextIOWrapper: _stream,
}


def write(value: Any) -> Written:
    """The value as cloudpickle writes it.

    Raises:
        SerializationError: it holds what must not travel; nothing was opened or changed.
        Exception: whatever else its parts raise.
    """

    payload, pickler = _settled(value, Plan())
    return Written(
        payload, pickler.holds_code, pickler.stateful or not _is_constant(value), pickler.definition
    )


def _settled(value: Any, plan: Plan) -> tuple[bytes, Pickler]:
    def attempt(plan: Plan) -> tuple[bytes, Pickler]:
        file = io.BytesIO()
        pickler = Pickler(file, plan)
        pickler.dump(value)
        return file.getvalue(), pickler

    return until_settled(attempt, plan)


def held_over_forks(lock: RLock) -> None:
    """Have forks wait for it: else a child has it held for ever, by a thread that is not there."""
    if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


#: While a class is made, what its bases do to new subclasses is put aside.
_making = RLock()
held_over_forks(_making)


class Unpickler(pickle.Unpickler):
    """Reads what :class:`Pickler` wrote; a class that is here already is taken as it is here."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._classes = classes_here()
        self._modules: dict[str, ModuleType] = {}
        self._unfilled: set[type] = set()

    def find_class(self, module: str, name: str) -> Any:
        """What a name in the payload stands for here."""
        if module == rebuild.__name__ and (own := _OWN.get(name)) is not None:
            return getattr(self, own)
        return super().find_class(module, name)

    def make_class(
        self, mark: str, shape: str, meta: type, name: str, bases: Any, module: str, qualname: str, extra: Any
    ) -> type:
        """The class of this mark: the one that is here, or a new one without its attributes."""
        known = self._classes.find(mark, shape, module, qualname)
        if known is None:
            about = {"__module__": module, "__qualname__": qualname}
            with _making:
                made = _new_enum if "members" in extra else _new_class
                known = made(meta, name, bases, about, extra)
            self._classes.add(mark, shape, known)
            self._unfilled.add(known)
        return known

    def fill_class(self, made: type, attributes: dict[str, Any]) -> None:
        """Give a class that is new here its attributes."""
        if made not in self._unfilled:
            return
        self._unfilled.discard(made)
        members = attributes.pop("__funcledger_members__", {})
        parts._class_setstate(made, (attributes, {}))
        for name, own in members.items():
            vars(made.__members__[name]).update(own)  # type: ignore[attr-defined]
        if any("_value_" in own for own in members.values()):
            _find_by_value(made)

    def make_module(self, name: str, package: str | None) -> ModuleType:
        """A module of this name, which no import finds: names of a user's never meet the worker's own."""
        module = self._modules.get(name)
        if module is None:
            module = self._modules[name] = ModuleType(name)
            module.__package__ = package
        return module

    def fill_module(self, module: ModuleType, attributes: dict[str, Any]) -> None:
        """Give it what was sent of it."""
        if fill(module, attributes):
            self._classes.offer(module)

    def namespace(self, name: str, package: str | None) -> dict[str, Any]:
        """The globals of that module."""
        return vars(self.make_module(name, package))


_OWN = {name: name for name in ("make_class", "fill_class", "make_module", "fill_module", "namespace")}


def _new_class(meta: type, name: str, bases: Any, about: dict[str, Any], extra: dict[str, Any]) -> type:
    """The class was finished where it was defined: no code of the user's runs to make it again."""
    maker = ABCMeta if issubclass(meta, ABCMeta) else next(filter(_makes_classes, meta.__mro__))
    with _Undisturbed(bases):
        return maker.__new__(meta, name, bases, about | extra)


def _makes_classes(meta: type) -> bool:
    """Whether it is C that makes its classes, and not Python."""
    return isinstance(vars(meta).get("__new__"), BuiltinFunctionType)


def _new_enum(meta: Any, name: str, bases: Any, about: dict[str, Any], extra: dict[str, Any]) -> type:
    with _Undisturbed(bases):
        members = meta.__prepare__(name, bases)
        for member, value in extra["members"]:
            # A function would else be taken for a method.
            members[member] = enum.member(value) if hasattr(value, "__get__") else value
        made: type = meta.__new__(meta, name, bases, members)
    for attribute, value in about.items():
        setattr(made, attribute, value)
    return made


def _find_by_value(made: Any) -> None:
    """Have an enum's members found by the values that they have at the end."""
    found = made._value2member_map_
    found.clear()
    for member in made.__members__.values():
        if isinstance(member.value, Hashable):
            found.setdefault(member.value, member)
    if "_hashable_values_" in vars(made):  # from Python 3.13 on
        made._hashable_values_[:] = list(found)


class _Undisturbed:
    """Without the ``__init_subclass__`` of the user's own bases, which has seen this class already."""

    def __init__(self, bases: tuple[type, ...]) -> None:
        above = {one for base in bases if isinstance(base, type) for one in base.__mro__}
        self._of = [one for one in above if "__init_subclass__" in vars(one) and not has_a_name(one)]

    def __enter__(self) -> None:
        self._kept = [(one, vars(one)["__init_subclass__"]) for one in self._of]
        for one in self._of:
            type.__delattr__(one, "__init_subclass__")

    def __exit__(self, *_: object) -> None:
        for one, kept in self._kept:
            type.__setattr__(one, "__init_subclass__", kept)


def read(payload: bytes) -> Any:
    """What :func:`write` wrote."""
    return Unpickler(io.BytesIO(payload)).load()
