"""Modules of the user's that code imports while it runs: found where it is sent, importable where it runs.

They travel by value, as those do that are imported at the top of a module. For the time of one call they
stand in ``sys.modules``, where ``import`` finds them; no installed module is ever hidden by one.
"""

import importlib
import sys
from collections.abc import Iterator
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, resolve_name
from types import FunctionType, ModuleType

from funcledger_payloads.errors import DeserializationError, SerializationError
from funcledger_payloads.installed import is_installed, is_module_installed, is_spec_installed
from funcledger_payloads.references import Import, references_of

_MAIN = "__main__"
#: What stood in ``sys.modules`` under the names of modules that a call may import.
put_aside: dict[str, ModuleType | None] = {}


def imported_by(function: FunctionType) -> list[ModuleType]:
    """The user's modules that its code imports; those that were not imported yet are imported here and now.

    What cannot be found here is left to where the function runs: it may be installed there.

    Raises:
        SerializationError: one raises something else than ImportError while it is imported.
    """
    found: dict[str, ModuleType] = {}
    for one in references_of(function.__code__).imports:
        for name in _names_of(one, function):
            module = _own_module(name)
            if module is None:
                break
            found[name] = module
            found.update(_submodules(name, module, one.names))
    return list(found.values())


def _names_of(one: Import, function: FunctionType) -> Iterator[str]:
    """The full names, outermost first, of the modules that this import loads by its own name."""
    name = one.module
    if one.level:
        package = function.__globals__.get("__package__")
        try:
            name = resolve_name("." * one.level + name, package or "")
        except ImportError:  # as it says when it runs
            return
    parts = name.split(".")
    yield from (".".join(parts[: length + 1]) for length in range(len(parts)))


def _submodules(name: str, module: ModuleType, names: tuple[str, ...]) -> Iterator[tuple[str, ModuleType]]:
    for inner in names:
        full = f"{name}.{inner}"
        if hasattr(module, "__path__") and (full in sys.modules or inner not in vars(module)):
            found = _own_module(full)
            if found is not None:
                yield full, found


def _own_module(name: str) -> ModuleType | None:
    """The user's module of this name; its package is one, and is imported."""
    module = sys.modules.get(name)
    if module is None and _is_to_be_had(name):
        try:
            module = importlib.import_module(name)
        except ImportError:  # as it will be where the function runs
            return None
        except Exception as error:
            raise SerializationError(
                f"it imports the module {name}, which raises {type(error).__name__} here: {error}"
            ) from error
    return None if module is None or is_module_installed(module) else module


def _is_to_be_had(name: str) -> bool:
    if name.partition(".")[0] in sys.stdlib_module_names:
        return False
    spec = _spec_of(name)
    return spec is not None and not is_spec_installed(spec)


def _spec_of(name: str) -> ModuleSpec | None:
    try:
        return find_spec(name)
    except (ImportError, ValueError):
        return None


def make_importable(module: ModuleType) -> None:
    """Have the call that begins find it when it imports that name.

    Raises:
        DeserializationError: a module of that name is installed here, and may be in use.
    """
    name = module.__name__
    if name != _MAIN and _is_installed_here(name):
        raise DeserializationError(
            f"it imports a module {name} of its own inside a function, and another is installed here: "
            "rename it, or import it at the top of the program"
        )
    put_aside.setdefault(name, sys.modules.get(name))
    sys.modules[name] = module


@cache
def _is_installed_here(name: str) -> bool:
    if is_installed(name) or name in sys.builtin_module_names:
        return True
    spec = None if name in sys.modules else _spec_of(name.partition(".")[0])
    return spec is not None and is_spec_installed(spec)


def take_out() -> None:
    """End what the last call could import."""
    for name, before in put_aside.items():
        if before is None:
            sys.modules.pop(name, None)
        else:
            sys.modules[name] = before
    put_aside.clear()
