"""Which class is which: one that travels by value is the same class wherever it meets itself again.

Without this, arguments of a class of the user's script would not be instances of the class that the
script's function knows, and ``except MyError`` would miss what comes back. A class is known by a mark that it
gets when it is first written, and keeps wherever it goes; never by its name alone, or an older form of it
would run in its place.
"""

import hashlib
import sys
from types import CodeType, FunctionType, ModuleType
from typing import Any, Protocol
from uuid import uuid4
from weakref import WeakKeyDictionary, WeakValueDictionary

from funcledger_payloads.imports import make_importable, put_aside, take_out
from funcledger_payloads.installed import is_installed

_marks: "WeakKeyDictionary[type, str]" = WeakKeyDictionary()
#: Those that were defined here, as opposed to those that have arrived.
_defined_here: "WeakValueDictionary[str, type]" = WeakValueDictionary()


class Classes(Protocol):
    """The classes that a payload may find in place of its own."""

    def find(self, mark: str, shape: str, module: str, qualname: str) -> type | None:
        """The class to use for one that arrives, if it is here."""

    def add(self, mark: str, shape: str, made: type) -> None:
        """This one has been made of what arrived."""

    def offer(self, module: ModuleType) -> None:
        """Code that has arrived may import this module of its own."""


class ProgramClasses:
    """In a user's program: its own classes, and those that have come back to it."""

    def __init__(self) -> None:
        self._arrived: WeakValueDictionary[tuple[str, str], type] = WeakValueDictionary()

    def find(self, mark: str, shape: str, module: str, qualname: str) -> type | None:
        """The one that was sent from here; or that has arrived before, in this shape.

        Or, when the script is run again and reads what an earlier run has left, the one that it now defines
        in this shape.
        """
        known = _defined_here.get(mark)  # compared with None: a metaclass may call its classes false
        if known is None:
            known = self._arrived.get((mark, shape))
        return _of_name(module, qualname, shape) if known is None else known

    def add(self, mark: str, shape: str, made: type) -> None:
        """Known by its mark and shape: whoever defines it may have changed it when it comes again."""
        _marks[made] = mark
        self._arrived[mark, shape] = made

    def offer(self, module: ModuleType) -> None:
        """A program has its own modules, or not."""


class CallClasses:
    """In a worker, during one call: those that came with the function, then those of the arguments.

    Nothing of an earlier call, and nothing of the worker's own, has a place here.
    """

    __slots__ = ("made",)

    def __init__(self) -> None:
        #: By mark and shape.
        self.made: dict[tuple[str, str], type] = {}

    def find(self, mark: str, shape: str, module: str, qualname: str) -> type | None:
        """The one that came with the function stands, for arguments too, while its shape is the same."""
        return self.made.get((mark, shape))

    def add(self, mark: str, shape: str, made: type) -> None:
        """For the rest of the call."""
        _marks[made] = mark
        self.made[mark, shape] = made

    def offer(self, module: ModuleType) -> None:
        """For the rest of the call."""
        make_importable(module)


#: What comes into being in a class when somebody asks for it, or pickles an instance.
_LATER = frozenset({"__annotations__", "__annotations_cache__", "__slotnames__"})
_PLAIN = frozenset({int, float, str, bytes, bool, type(None)})
_here: Classes = ProgramClasses()


def classes_here() -> Classes:
    """What values that are opened now find."""
    return _here


def begin_call(classes: CallClasses) -> None:
    """In a worker: from now on values find the classes of this call."""
    global _here  # one call at a time
    _here = classes
    if put_aside:
        take_out()


def begin_next_call() -> None:
    """In a worker: as :func:`begin_call` with nothing, unless there is nothing of the last call here."""
    if type(_here) is not CallClasses or _here.made or put_aside:
        begin_call(CallClasses())


def mark_of(kind: type) -> str:
    """The mark by which this class is known wherever it goes."""
    try:
        mark = _marks.get(kind)
    except TypeError:  # its metaclass has no hash
        return uuid4().hex
    if mark is None:
        mark = _marks[kind] = uuid4().hex
        _defined_here[mark] = kind
    return mark


def shape_of(kind: type) -> str:
    """A hash of what the class defines: names, code of its methods, plain values; not what those refer to."""
    digest = hashlib.sha256(repr([base.__qualname__ for base in kind.__mro__]).encode())
    for name, value in sorted(vars(kind).items()):
        if name in _LATER and not (name == "__annotations__" and value):
            continue
        digest.update(name.encode())
        function = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
        if isinstance(function, FunctionType):
            _add_code(digest, function.__code__)
        elif type(value) in _PLAIN and name != "__firstlineno__":
            digest.update(repr(value).encode())
    return digest.hexdigest()


def _add_code(digest: Any, code: CodeType) -> None:
    digest.update(code.co_code)
    digest.update(repr((code.co_names, code.co_varnames)).encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _add_code(digest, constant)
        elif not isinstance(constant, frozenset):  # whose order differs from run to run
            digest.update(repr(constant).encode())


def _of_name(module: str, qualname: str, shape: str) -> type | None:
    if is_installed(module):
        return None
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) and shape_of(found) == shape else None
