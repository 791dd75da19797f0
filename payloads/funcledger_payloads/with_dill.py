"""Code by value as dill writes it: where that is chosen, and for what cloudpickle cannot write."""

import io
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import RLock, get_ident
from types import FunctionType, ModuleType
from typing import Any

import dill
import dill.detect
from dill._dill import _create_type

from funcledger_payloads import by_value, rebuild
from funcledger_payloads.classes import classes_here
from funcledger_payloads.installed import has_a_name
from funcledger_payloads.modules import Plan, until_settled
from funcledger_payloads.refusals import refuse

PROTOCOL = 5
VERSION: str = dill.__version__
#: dill keeps state of its own while it works.
_one_at_a_time = RLock()
by_value.held_over_forks(_one_at_a_time)
#: The attribute that named a class in payloads of earlier releases.
_IMPORTED = "__funcledger_imported__"
_OLD_MARK = "__funcledger_class__"


class DillPickler(dill.Pickler):  # type: ignore[misc]  # dill has no types
    """Stores functions of modules that are not installed by value, as dill does those of ``__main__``."""

    def __init__(self, file: io.BytesIO, guide: by_value.Pickler) -> None:
        """``guide`` knows how classes and modules are written."""
        super().__init__(file, PROTOCOL, recurse=True)
        self._twins: dict[int, tuple[FunctionType, FunctionType]] = {}
        self._guide = guide

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        """Save one object of the graph."""
        if id(obj) in self.memo:
            super().save(obj, save_persistent_id)
            return
        refuse(obj)
        if type(obj) is FunctionType:
            if not has_a_name(obj):
                obj = self._twin(obj)
        elif isinstance(obj, type | ModuleType) or type(obj) in by_value.SPECIAL:
            made = self._guide.reducer_override(obj)
            if made is not NotImplemented:
                self.save_reduce(*made, obj=obj)
                return
        super().save(obj, save_persistent_id)

    def _twin(self, function: FunctionType) -> FunctionType:
        """A copy that its module does not know, so that dill finds no name to refer to."""
        known = self._twins.get(id(function))
        if known is not None:
            return known[1]
        if any(function is twin for _, twin in self._twins.values()):
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
        twin.__doc__, twin.__annotations__ = function.__doc__, by_value.annotations_of(function)
        self._twins[id(function)] = (function, twin)
        return twin


class DillUnpickler(dill.Unpickler):  # type: ignore[misc]  # dill has no types
    """Gives back a class that travelled by value as the one it is here, if it is here already."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._made = by_value.Unpickler(file)

    def find_class(self, module: str, name: str) -> Any:
        """What a name in the payload stands for here."""
        if module == rebuild.__name__:
            return self._made.find_class(module, name)
        found = super().find_class(module, name)
        return partial(_of_earlier_releases, found) if found is _create_type else found


def _of_earlier_releases(create: Any, meta: type, *about: Any) -> Any:
    """The class to use for one that arrives as earlier releases wrote it: known by the mark in it, or new."""
    if len(about) != 3 or not isinstance(about[2], dict):
        return create(meta, *about)
    name, bases, namespace = about
    mark = namespace.pop(_OLD_MARK, None)
    shape = ",".join(sorted(namespace))
    known = classes_here().find(mark, shape, namespace.get("__module__", ""), name) if mark else None
    if known is None:
        known = create(meta, name, bases, namespace)
        if mark:
            classes_here().add(mark, shape, known)
    return known


@contextmanager
def _by_its_own_code(guide: by_value.Pickler) -> Iterator[None]:
    """Have dill find a function's globals by the function's own code, while this thread writes.

    Its own search goes on into the globals of what it finds, also of installed libraries: that takes minutes,
    and drags in unrelated things of the same name.
    """
    usual, writer = dill.detect.globalvars, get_ident()

    def globalvars(function: Any, *args: Any, **kwargs: Any) -> Any:
        if get_ident() != writer or type(function) is not FunctionType:
            return usual(function, *args, **kwargs)
        used, imported = guide.uses.note_function(function)
        return used | {_IMPORTED: imported} if imported else used

    dill.detect.globalvars = globalvars
    try:
        yield
    finally:
        dill.detect.globalvars = usual


def write(value: Any) -> tuple[bytes, Hashable]:
    """The value as dill writes it, and what stays the same while only data in it changes.

    Raises:
        SerializationError: it holds what must not travel.
        Exception: whatever else its parts raise.
    """

    def attempt(plan: Plan) -> tuple[bytes, by_value.Pickler]:
        file = io.BytesIO()
        guide = by_value.Pickler(io.BytesIO(), plan)
        with _by_its_own_code(guide):
            DillPickler(file, guide).dump(value)
        return file.getvalue(), guide

    with _one_at_a_time:
        payload, guide = until_settled(attempt)
    return payload, guide.definition


def read(payload: bytes) -> Any:
    """What :func:`write` wrote, or an earlier release."""
    return DillUnpickler(io.BytesIO(payload)).load()
