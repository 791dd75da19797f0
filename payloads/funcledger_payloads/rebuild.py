"""The names that payloads use for what is made anew when they are opened.

They stand in stored payloads, so none is ever renamed or given another meaning. Those of classes, modules and
namespaces are filled by the reader (``by_value.Unpickler``), which knows what is here already.
"""

import dataclasses
import functools
import weakref
from collections.abc import Callable
from typing import Any

#: Attributes of a module on its way: what did not travel, and why; whether code imports it while it runs.
MISSING, IMPORTABLE = "__funcledger_missing__", "__funcledger_importable__"
_BY_LOAD = "a payload with code is opened by funcledger_payloads.load alone"


def make_class(*_: Any) -> Any:
    """A class by its mark, without its attributes."""
    raise TypeError(_BY_LOAD)


def fill_class(*_: Any) -> Any:
    """Gives a class its attributes."""
    raise TypeError(_BY_LOAD)


def make_module(*_: Any) -> Any:
    """A module of the user's, empty."""
    raise TypeError(_BY_LOAD)


def fill_module(*_: Any) -> Any:
    """Gives it what was sent of it."""
    raise TypeError(_BY_LOAD)


def namespace(*_: Any) -> Any:
    """The globals of a module of the user's."""
    raise TypeError(_BY_LOAD)


def lru_cached(function: Callable[..., Any], parameters: dict[str, Any], state: dict[str, Any]) -> Any:
    """A function under ``functools.lru_cache``, with nothing in its cache."""
    made = functools.lru_cache(**parameters)(function)
    made.__dict__.update(state)
    return made


def cached_property(function: Callable[..., Any], name: str | None) -> "functools.cached_property[Any]":
    """A ``functools.cached_property``, with a lock of its own where Python has one."""
    made = functools.cached_property(function)
    made.attrname = name
    return made


def dataclass_sentinel(name: str) -> Any:
    """One of the objects by which dataclasses know what was not given."""
    return getattr(dataclasses, name)


def weak_dictionary(kind: str, items: dict[Any, Any]) -> Any:
    """A weak dictionary of these."""
    return getattr(weakref, kind)(items)
