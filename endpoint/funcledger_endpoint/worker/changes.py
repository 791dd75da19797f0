"""What calls have changed in their worker's process by functions that are watched for it.

To look at everything after each call would cost more than the call. So the functions that change what is
dear to look at note here that they were called: a call that calls none of them costs nothing.
"""

import functools
import locale
import os
import resource
import signal
import sys
import warnings
from abc import ABCMeta
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any

from funcledger_endpoint.worker.descriptors import close_range, end_without, is_own

_STANDARD_STREAMS = (0, 1, 2)
_IMPORTS = "<frozen importlib._bootstrap>"
#: What cannot be put back, or only with rights that a worker does not have.
_FOR_GOOD: tuple[tuple[ModuleType, str], ...] = (
    (os, "nice"), (os, "setpriority"), (os, "sched_setaffinity"),
    (os, "sched_setscheduler"), (os, "setpgid"), (os, "setpgrp"), (os, "setsid"), (os, "chroot"),
    (os, "setuid"), (os, "setgid"), (os, "seteuid"), (os, "setegid"), (os, "setreuid"), (os, "setregid"),
    (os, "setgroups"),
)  # fmt: skip


class ProcessChanges:
    """Notes of what was changed since :meth:`clear`; there is one in a process.

    What a module does while it is imported is the module's own, and stays as the module does: it becomes part
    of what later calls find.
    """

    def __init__(self) -> None:
        #: The kinds of change: directory, streams, timers, signals, mask, wakeup, umask, locale,
        #: limits, forever, and those of :meth:`watch_setter`.
        self.kinds: set[str] = set()
        #: Variables of the environment.
        self.variables: set[str] = set()
        #: What the handlers of signals were before they were changed.
        self.handlers: dict[int, Any] = {}
        #: What limits of the system's were before they were changed.
        self.limits: dict[int, tuple[int, int]] = {}
        #: What a module has set, None for a variable it has removed.
        self.of_modules: dict[str, str | None] = {}
        #: What later calls find.
        self.filters: list[Any] = list(warnings.filters)
        self.recursion = sys.getrecursionlimit()
        self._filters_here = warnings.filters

    def clear(self) -> None:
        """All has been put back."""
        self.kinds.clear()
        self.variables.clear()
        self.handlers.clear()
        self.limits.clear()

    def watch(self) -> None:
        """Begin; whoever imports one of these functions by name from now on gets the watched one."""
        for kind, module, names in (
            ("directory", os, ("chdir", "fchdir")),
            ("umask", os, ("umask",)),
            ("timers", signal, ("alarm", "setitimer")),
            ("mask", signal, ("pthread_sigmask",)),
            ("wakeup", signal, ("set_wakeup_fd",)),
            ("locale", locale, ("setlocale",)),
        ):
            for name in names:
                self._replace(module, name, functools.partial(self._noting, kind))
        for module, name in _FOR_GOOD:
            if hasattr(module, name):
                self._replace(module, name, self._noting_for_good)
        self._replace(os, "close", self._noting_close)
        self._replace(os, "closerange", self._noting_range)
        self._replace(os, "dup2", self._noting_copy)
        for name in ("putenv", "unsetenv"):
            self._replace(os, name, self._noting_variable)
        for name in ("filterwarnings", "simplefilter"):
            self._replace(warnings, name, self._keeping_filters)
        self._replace(signal, "signal", self._noting_handler)
        self._replace(resource, "setrlimit", self._noting_limit)
        self._replace(sys, "setrecursionlimit", self._keeping_recursion)

    def watch_setter(
        self, module: ModuleType, name: str, kind: str, keep: Callable[..., object] | None = None
    ) -> None:
        """Note calls of it as this kind; with what modules call it at import, ``keep`` is called."""

        def watched(original: Callable[..., Any]) -> Callable[..., Any]:
            def called(*args: Any, **kwargs: Any) -> Any:
                result = original(*args, **kwargs)
                if not is_importing():
                    self.kinds.add(kind)
                elif keep is not None:
                    keep(*args, **kwargs)
                return result

            return called

        self._replace(module, name, watched)

    def watch_registrations(self, meta: type[ABCMeta]) -> None:
        """What code of a call has put in the registry of a library's class cannot be had out of it again."""
        original = meta.register

        @functools.wraps(original)
        def called(registry: Any, subclass: Any) -> Any:
            if is_imported(registry) and not (is_importing() or _is_of_a_module(sys._getframe(1))):
                self.kinds.add("forever")
            return original(registry, subclass)

        meta.register = called  # type: ignore[assignment,method-assign]

    def _replace(self, module: ModuleType, name: str, watched: Callable[[Any], Any]) -> None:
        original = getattr(module, name)
        replacement = functools.wraps(original)(watched(original))
        replacement.__qualname__ = name  # of some it is that of a method
        setattr(module, name, replacement)
        # Where it comes from, and where pickle looks for it.
        home = sys.modules.get(original.__module__)
        if home is not None and getattr(home, name, None) is original:
            setattr(home, name, replacement)

    def _noting(self, kind: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            self.kinds.add(kind)
            return original(*args, **kwargs)

        return called

    def _noting_for_good(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            # Of a module it stays: a worker that is replaced would import it again.
            if not is_importing():
                self.kinds.add("forever")
            return original(*args, **kwargs)

        return called

    def _noting_close(self, original: Callable[[int], None]) -> Callable[[int], None]:
        def called(fd: int) -> None:
            if fd in _STANDARD_STREAMS:
                self.kinds.add("streams")
            if not is_own(fd):
                original(fd)

        return called

    def _noting_range(self, original: Callable[[int, int], None]) -> Callable[[int, int], None]:
        def called(fd_low: int, fd_high: int, /) -> None:
            if fd_low <= _STANDARD_STREAMS[-1]:
                self.kinds.add("streams")
            close_range(original, fd_low, fd_high)

        return called

    def _noting_copy(self, original: Callable[..., int]) -> Callable[..., int]:
        def called(fd: int, fd2: int, inheritable: bool = True) -> int:
            if fd2 in _STANDARD_STREAMS:
                self.kinds.add("streams")
            elif is_own(fd2):
                end_without()
            return original(fd, fd2, inheritable)

        return called

    def _noting_variable(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def called(name: Any, *value: Any) -> Any:
            text = os.fsdecode(name)
            original(name, *value)
            if is_importing():
                self.of_modules[text] = os.fsdecode(value[0]) if value else None
            else:
                self.variables.add(text)

        return called

    def _noting_handler(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def called(number: Any, handler: Any) -> Any:
            before = original(number, handler)
            if not is_importing():
                self.handlers.setdefault(int(number), before)
                self.kinds.add("signals")
            elif int(number) in self.handlers:
                self.handlers[int(number)] = handler
            return before

        return called

    def _noting_limit(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def called(which: int, limits: Any) -> None:
            before = resource.getrlimit(which)
            original(which, limits)
            if not is_importing():
                self.kinds.add("limits")
                self.limits.setdefault(which, before)

        return called

    def _keeping_filters(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Within ``catch_warnings`` there is another list; what is added there, nobody keeps."""

        def called(*args: Any, **kwargs: Any) -> Any:
            before = list(warnings.filters)
            original(*args, **kwargs)
            if warnings.filters is self._filters_here and is_importing():
                new = [one for one in warnings.filters if one not in before]
                self.filters = self.filters + new if kwargs.get("append") else new + self.filters

        return called

    def _keeping_recursion(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def called(limit: int) -> None:
            original(limit)
            if is_importing():
                self.recursion = limit

        return called


def is_importing() -> bool:
    """Whether a module is being imported by whoever has called the caller."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTS:
            return True
        frame = frame.f_back
    return False


def _is_of_a_module(frame: FrameType) -> bool:
    """Whether code of an imported module runs there; that of a call has globals of its own."""
    module = sys.modules.get(frame.f_globals.get("__name__", ""))
    return module is not None and vars(module) is frame.f_globals


def is_imported(thing: Any) -> bool:
    """Whether it is what its name in an imported module stands for; code of a call is no part of any."""
    found: Any = sys.modules.get(getattr(thing, "__module__", None) or "")
    for part in getattr(thing, "__qualname__", "?").split("."):
        found = getattr(found, part, None)
    return found is not None and found is thing
