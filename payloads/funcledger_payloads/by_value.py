"""dill, bent to carry a user's own functions by value; imported only where pickle does not do."""

import io
import sys
import sysconfig
from functools import cache, partial
from threading import RLock
from types import FunctionType
from typing import Any

import dill
from dill._dill import _create_type, _locate_function

from funcledger_payloads import classes

PROTOCOL = 5
VERSION: str = dill.__version__
#: dill keeps state of its own while it works, and classes are marked meanwhile.
_one_at_a_time = RLock()
#: Packages of ours that stand wherever a function may run.
_OURS = ("funcledger", "funcledger_payloads", "funcledger_schemas")


@cache
def _installed_under() -> tuple[str, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple({sysconfig.get_path(name) for name in names})


def is_installed(module_name: str | None) -> bool:
    """Whether an endpoint may be expected to have this module: of the standard library or installed."""
    if module_name is None or module_name == "__main__":
        return False
    if module_name.partition(".")[0] in _OURS:
        return True
    module = sys.modules.get(module_name)
    if module is None:
        return False
    file = getattr(module, "__file__", None)
    if file is None:
        return getattr(getattr(module, "__spec__", None), "origin", None) in ("built-in", "frozen")
    return "site-packages" in file or "dist-packages" in file or file.startswith(_installed_under())


class Pickler(dill.Pickler):  # type: ignore[misc]  # dill has no types
    """Stores functions of modules that are not installed by value, as dill does those of ``__main__``."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, PROTOCOL, recurse=True)
        self._copies: dict[int, tuple[FunctionType, FunctionType]] = {}

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        """Save one object of the graph."""
        if type(obj) is FunctionType and obj.__module__ != "__main__" and not is_installed(obj.__module__):
            obj = self._copy(obj)
        if isinstance(obj, type) and id(obj) not in self.memo and not _locate_function(obj, self):
            with classes.marked(obj):
                super().save(obj, save_persistent_id)
        else:
            super().save(obj, save_persistent_id)

    def _copy(self, function: FunctionType) -> FunctionType:
        """A twin that its module does not know, so that dill finds no name to refer to."""
        known = self._copies.get(id(function))
        if known is not None:
            return known[1]
        if any(function is twin for _, twin in self._copies.values()):
            return function
        twin = FunctionType(
            function.__code__,
            function.__globals__,
            function.__name__,
            function.__defaults__,
            function.__closure__,
        )
        twin.__kwdefaults__ = function.__kwdefaults__
        twin.__dict__.update(function.__dict__)
        twin.__module__, twin.__qualname__ = function.__module__, function.__qualname__
        twin.__doc__, twin.__annotations__ = function.__doc__, function.__annotations__
        self._copies[id(function)] = (function, twin)
        return twin


class Unpickler(dill.Unpickler):  # type: ignore[misc]  # dill has no types
    """Gives back a class that travelled by value as the one it is here, if it is here already."""

    def find_class(self, module: str, name: str) -> Any:
        """What a name in the payload stands for here."""
        found = super().find_class(module, name)
        return partial(classes.arrived, found) if found is _create_type else found


def dumps(value: Any) -> bytes:
    """The value as dill writes it."""
    file = io.BytesIO()
    with _one_at_a_time:
        Pickler(file).dump(value)
    return file.getvalue()


def loads(payload: bytes) -> Any:
    """What :func:`dumps` wrote."""
    return Unpickler(io.BytesIO(payload)).load()
