"""Pools of processes inside a task: what multiprocessing sends between them may be code by value.

It writes functions and classes by their names, which those of a task do not have in its worker.
"""

import io
import pickle
from functools import partial
from types import FunctionType
from typing import Any

from funcledger_payloads import by_value
from funcledger_payloads.classes import classes_here, mark_of, shape_of
from funcledger_payloads.installed import has_a_name
from funcledger_payloads.modules import Plan, until_settled


def carry_code() -> None:
    """From now on multiprocessing, and all that sends values through it, carries code in this process."""
    from multiprocessing.reduction import ForkingPickler  # takes 4 ms

    ForkingPickler.reducer_override = _reduced  # type: ignore[method-assign]  # which pickle asks first


def _reduced(_: pickle.Pickler, value: Any) -> Any:
    """A function or class by value unless it has a name; anything else as multiprocessing writes it."""
    kind = type(value)
    if kind is FunctionType:
        if has_a_name(value):
            return NotImplemented
    elif not issubclass(kind, type) or value.__module__ == "builtins" or has_a_name(value):
        return NotImplemented
    return _arrived, (until_settled(partial(_attempt, value))[0],)


def _attempt(value: Any, plan: Plan) -> tuple[bytes, by_value.Pickler]:
    file = io.BytesIO()
    pickler = _Pickler(file, plan)
    pickler.dump(value)
    return file.getvalue(), pickler


class _Pickler(by_value.Pickler):
    """Keeps in mind which classes have gone out, so that what comes back of them is of those."""

    def _class_by_value(self, kind: type) -> Any:
        classes, mark, shape = classes_here(), mark_of(kind), shape_of(kind)
        if classes.find(mark, shape, kind.__module__, kind.__qualname__) is None:
            classes.add(mark, shape, kind)
        return super()._class_by_value(kind)


def _arrived(payload: bytes) -> Any:
    """The function or class, in the pool's process or back from there, which sends code on likewise."""
    carry_code()
    return by_value.read(payload)
