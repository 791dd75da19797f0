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
from collections.abc import Callable
from types import ModuleType
from typing import Any

_STANDARD_STREAMS = (0, 1, 2)
_IMPORTS = "<frozen importlib._bootstrap>"
#: What cannot be put back, or only with rights that a worker does not have.
_FOR_GOOD: tuple[tuple[ModuleType, str], ...] = (
    (os, "nice"), (os, "setpriority"), (os, "sched_setaffinity"),
    (os, "sched_setscheduler"), (os, "setpgid"), (os, "setpgrp"), (os, "setsid"), (os, "chroot"),
    (os, "setuid"), (os, "setgid"), (os, "seteuid"), (os, "setegid"), (os, "setreuid"), (os, "setregid"),
    (os, "setgroups"),
)  # fmt: skip


class Changes:
    """Notes of what was changed since :meth:`clear`; there is one in a process.

    What a module does while it is imported is the module's own, and stays as the module does: it becomes part
    of what later calls find.
    """

    def __init__(self) -> None:
        #: The kinds of change: directory, streams, timers, signals, mask, wakeup, umask, locale,
        #: limits, forever.
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
        for name in ("dup2", "close", "closerange"):
            self._replace(os, name, self._noting_streams)
        for name in ("putenv", "unsetenv"):
            self._replace(os, name, self._noting_variable)
        for name in ("filterwarnings", "simplefilter"):
            self._replace(warnings, name, self._keeping_filters)
        self._replace(signal, "signal", self._noting_handler)
        self._replace(resource, "setrlimit", self._noting_limit)
        self._replace(sys, "setrecursionlimit", self._keeping_recursion)

    def _replace(self, module: ModuleType, name: str, watched: Callable[[Any], Any]) -> None:
        original = getattr(module, name)
        replacement = functools.wraps(original)(watched(original))
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
            if not _importing():
                self.kinds.add("forever")
            return original(*args, **kwargs)

        return called

    def _noting_streams(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Of ``close(fd)``, ``closerange(first, last)`` and ``dup2(fd, fd2)``."""
        duplicates = original.__name__ == "dup2"

        def called(fd: Any, *args: Any, **kwargs: Any) -> Any:
            closed = (args[0] if args else kwargs.get("fd2")) if duplicates else fd
            if closed in _STANDARD_STREAMS:
                self.kinds.add("streams")
            return original(fd, *args, **kwargs)

        return called

    def _noting_variable(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def called(name: Any, *value: Any) -> Any:
            text = os.fsdecode(name)
            original(name, *value)
            if _importing():
                self.of_modules[text] = os.fsdecode(value[0]) if value else None
            else:
                self.variables.add(text)

        return called

    def _noting_handler(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def called(number: Any, handler: Any) -> Any:
            before = original(number, handler)
            if not _importing():
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
            if not _importing():
                self.kinds.add("limits")
                self.limits.setdefault(which, before)

        return called

    def _keeping_filters(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Within ``catch_warnings`` there is another list; what is added there, nobody keeps."""

        def called(*args: Any, **kwargs: Any) -> Any:
            before = list(warnings.filters)
            original(*args, **kwargs)
            if warnings.filters is self._filters_here and _importing():
                new = [one for one in warnings.filters if one not in before]
                self.filters = self.filters + new if kwargs.get("append") else new + self.filters

        return called

    def _keeping_recursion(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def called(limit: int) -> None:
            original(limit)
            if _importing():
                self.recursion = limit

        return called


def _importing() -> bool:
    """Whether a module is being imported by whoever has called."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTS:
            return True
        frame = frame.f_back
    return False
