"""What a function's own code refers to: the names it loads, those it loads from them, and what it changes."""

import sys
from collections.abc import Iterator
from types import CodeType, ModuleType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_CHANGES = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL"})
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"})
_BETWEEN = frozenset({"CACHE", "EXTENDED_ARG", "PUSH_NULL", "NOP"})


class References(NamedTuple):
    """Of a code object with all that is nested in it.

    ``names``: globals, in the order they appear. ``attributes``: all names loaded from something.
    ``from_names``: those of them that are loaded straight from a global. ``changes``: whether it stores into
    a global or into a variable of the function around it; ``stores_attributes``: into anything's attribute.
    """

    names: tuple[str, ...]
    attributes: frozenset[str]
    from_names: frozenset[str]
    changes: bool
    stores_attributes: bool


_known: "WeakKeyDictionary[CodeType, References]" = WeakKeyDictionary()


def references_of(code: CodeType) -> References:
    """What this code refers to."""
    known = _known.get(code)
    if known is None:
        known = _known[code] = _read(code)
    return known


def _read(code: CodeType) -> References:
    names: dict[str, None] = {}
    attributes, from_names = set(), set()
    changes = stores = on_a_global = False
    for part, operation, argument in _instructions(code):
        if operation in _LOADS or operation in _CHANGES:
            names[argument] = None
            changes = changes or operation in _CHANGES
        elif operation in _ATTRIBUTES:
            attributes.add(argument)
            if on_a_global:
                from_names.add(argument)
        elif operation == "STORE_ATTR":
            stores = True
        elif operation in ("STORE_DEREF", "DELETE_DEREF"):
            changes = changes or argument in part.co_freevars
        if operation not in _BETWEEN:
            on_a_global = operation in _LOADS or (on_a_global and operation in _ATTRIBUTES)
    return References(tuple(names), frozenset(attributes), frozenset(from_names), changes, stores)


def _instructions(code: CodeType) -> Iterator[tuple[CodeType, str, Any]]:
    import dis  # only where a function is serialised

    for instruction in dis.get_instructions(code):
        yield code, instruction.opname, instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _instructions(constant)


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
