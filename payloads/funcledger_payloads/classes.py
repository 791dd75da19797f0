"""Which class is which: one that travels by value is the same class wherever it arrives again.

Without this, arguments of a class of the user's script would not be instances of the class that the
script's function knows, and ``except MyError`` would miss what comes back.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary, WeakValueDictionary

#: The attribute that names a class while it is being written.
_MARK = "__funcledger_class__"
_names: "WeakKeyDictionary[type, str]" = WeakKeyDictionary()
_classes: "WeakValueDictionary[str, type]" = WeakValueDictionary()


@contextmanager
def marked(kind: type) -> Iterator[None]:
    """While the block runs, the class carries the name by which it is known wherever it goes."""
    name = _names.get(kind) or uuid4().hex
    _remember(kind, name)
    try:
        type.__setattr__(kind, _MARK, name)
    except TypeError:  # of an extension module, whose classes cannot be marked
        yield
        return
    try:
        yield
    finally:
        type.__delattr__(kind, _MARK)


def arrived(create: Callable[..., Any], metaclass: type, *args: Any) -> Any:
    """The class to use for one that arrives: known by its mark, or by its name and attributes, or new.

    The second is for a script that is run again and reads what an earlier run of it has left.
    """
    if len(args) != 3 or not isinstance(args[2], dict):
        return create(metaclass, *args)
    name, bases, namespace = args
    mark = namespace.pop(_MARK, None)
    known = _classes.get(mark) if mark else None
    if known is None:
        known = _of_this_name(metaclass, name, namespace)
    if known is None:
        known = create(metaclass, name, bases, namespace)
        if mark:
            _remember(known, mark)
    return known


def _of_this_name(metaclass: type, name: str, namespace: dict[str, Any]) -> type | None:
    here = getattr(sys.modules.get(namespace.get("__module__", "")), name, None)
    if isinstance(here, type) and type(here) is metaclass and namespace.keys() <= vars(here).keys():
        return here
    return None


def _remember(kind: type, name: str) -> None:
    _names[kind] = name
    _classes[name] = kind
