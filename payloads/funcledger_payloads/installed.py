"""What stands on both sides, and so travels by its name: the standard library and installed distributions."""

import sys
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FunctionType, ModuleType

#: Packages that stand wherever a function may run, since they bring it there: ours are one distribution.
_OURS = frozenset(
    {"cloudpickle", "dill", "funcledger"}
    | {f"funcledger_{room}" for room in ("payloads", "schemas", "event_log", "endpoint", "compose")}
)
_PLACES = ("site-packages", "dist-packages")


@cache
def _installed_under() -> tuple[str, ...]:
    import sysconfig  # not needed until a function is sent

    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple({f"{sysconfig.get_path(name)}/" for name in names})


def is_installed(module_name: str | None) -> bool:
    """Whether an endpoint may be expected to have this module.

    A module beside the script, or of a project installed for editing, is the user's own code: it may change
    while the program runs, so it travels.
    """
    if not module_name or module_name in ("__main__", "__mp_main__"):
        return False
    if module_name.partition(".")[0] in _OURS:
        return True
    module = sys.modules.get(module_name)
    return module is not None and _is_installed(module_name, getattr(module, "__file__", None))


@cache
def _is_installed(module_name: str, file: str | None) -> bool:
    if file is not None:
        usual = any(place in file for place in _PLACES) or file.startswith(_installed_under())
        return usual or _holds_distributions(_root_of(module_name, file))
    module = sys.modules.get(module_name)
    if getattr(getattr(module, "__spec__", None), "origin", None) in ("built-in", "frozen"):
        return True
    paths = list(getattr(module, "__path__", ()))  # a namespace package
    if paths:
        return _is_installed(module_name, f"{paths[0]}/__init__.py")
    # Made by its package, as six.moves is.
    return "." in module_name and is_installed(module_name.rpartition(".")[0])


def _root_of(module_name: str, file: str) -> str:
    """The directory in which its topmost package stands."""
    above = list(Path(file).parents)
    depth = module_name.count(".") + (Path(file).stem == "__init__")
    return str(above[min(depth, len(above) - 1)])


@cache
def _holds_distributions(directory: str) -> bool:
    """Whether something was installed there, as by ``pip install --target``."""
    return next(Path(directory).glob("*.dist-info"), None) is not None


def is_module_installed(module: ModuleType) -> bool:
    """Whether it is the module that its name stands for, and installed."""
    name = module.__name__
    return sys.modules.get(name) is module and is_installed(name)


def is_spec_installed(spec: ModuleSpec) -> bool:
    """Whether a module that can be imported, and was not yet, is an installed one."""
    if spec.origin in ("built-in", "frozen"):
        return True
    paths = list(spec.submodule_search_locations or ())
    file = spec.origin or (f"{paths[0]}/__init__.py" if paths else None)
    return file is None or spec.name.partition(".")[0] in _OURS or _is_installed(spec.name, file)


def has_a_name(thing: FunctionType | type) -> bool:
    """Whether a function or class is what its name in an installed module stands for.

    A class of a script may have the name of one that is installed; then it is not the one.
    """
    name = getattr(thing, "__module__", None)
    if not isinstance(name, str) or not is_installed(name):
        return False
    found: object = sys.modules.get(name)
    for part in thing.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is thing
