"""What one call could leave behind in its worker's process for the next one, and how it is put back."""

import gc
import locale
import logging
import os
import resource
import select
import signal
import sys
import threading
import time
import warnings
from typing import Any, TextIO, cast

from funcledger_endpoint.worker.changes import ProcessChanges
from funcledger_endpoint.worker.descriptors import own
from funcledger_endpoint.worker.import_state import ImportState
from funcledger_endpoint.worker.library_state import LibraryState
from funcledger_endpoint.worker.logger_state import LoggerState
from funcledger_endpoint.worker.output import standard_stream

_STREAMS = ("stdin", "stdout", "stderr")
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


class ProcessState:
    """As it is before the first call, when this is made; what modules do at import is added to it."""

    def __init__(self) -> None:
        self._changes = ProcessChanges()
        self._environ = os.environ
        self._environment = dict(os.environ)
        self._streams: tuple[TextIO, ...] = tuple(getattr(sys, name) for name in _STREAMS)
        self._encodings = [stream.encoding for stream in self._streams]
        self._stdin, self._stdout, self._stderr = self._streams
        #: What descriptors 0, 1 and 2 are copies of.
        self._outside = [own(os.dup(descriptor)) for descriptor in range(3)]
        self._filters = warnings.filters
        self._showing = (warnings.showwarning, warnings.formatwarning)
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._locale = locale.setlocale(locale.LC_ALL)
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._open = select.poll()
        for descriptor in range(3):
            self._open.register(descriptor, 0)
        self._hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook, sys.displayhook)
        self._excepthook, self._thread_excepthook = self._hooks[:2]
        self._profile, self._trace = sys.getprofile(), sys.gettrace()
        self._libraries = LibraryState(self._changes)
        self._loggers, self._imports = LoggerState(self._changes), ImportState()
        self._changes.watch()
        self._libraries.watch()
        self._loggers.watch()
        self._imports.watch()

    def changed(self, *, short: bool, closely: bool) -> bool:
        """Whether a call may have changed anything; in a ``short`` one there was no time to close a file.

        Looking ``closely`` is also at what is dear to look at and seldom changed.
        """
        try:
            return bool(
                (len(sys.modules) != self._libraries.modules_seen and self._libraries.new_modules())
                or self._changes.kinds
                or self._changes.variables
                or sys.stdout is not self._stdout
                or sys.stderr is not self._stderr
                or self._stdout.closed
                or self._stderr.closed
                or sys.stdin is not self._stdin
                or self._stdin.closed
                or os.environ is not self._environ
                or warnings.filters != self._changes.filters
                or warnings.filters is not self._filters
                or warnings.showwarning is not self._showing[0]
                or sys.getrecursionlimit() != self._changes.recursion
                or not gc.isenabled()
                or sys.excepthook is not self._excepthook
                or threading.excepthook is not self._thread_excepthook
                or sys.getprofile() is not self._profile
                or sys.gettrace() is not self._trace
                or logging.root.handlers != self._loggers.of_root
                or sys.path is not self._imports.path
                or sys.path != self._imports.path.kept
                or (self._libraries.events is not None and self._libraries.has_event_loop)
                or (closely and self._imports.changed())
                or (not short and self._open.poll(0))
            )
        except (ValueError, AttributeError):  # a stream without its buffer, a name that was deleted
            return True

    def put_back(self) -> str:
        """Put all of it back; what cannot be, so that the process has to be replaced, else nothing."""
        sys.settrace(self._trace)
        sys.setprofile(self._profile)
        kinds = self._changes.kinds
        self._put_timers_back(kinds)
        if "forever" in kinds or not (self._put_handlers_back() and self._put_limits_back()):
            return "a call has changed for good what belongs to the process"
        self._put_streams_back()
        self._put_environment_back()
        self._put_interpreter_back()
        self._libraries.put_back(kinds)
        self._loggers.put_back()
        self._imports.put_back()
        if "umask" in kinds:
            os.umask(self._umask)
        if "locale" in kinds:
            locale.setlocale(locale.LC_ALL, self._locale)
        self._changes.clear()
        return ""

    def _put_timers_back(self, kinds: set[str]) -> None:
        if "timers" in kinds:
            for timer in _TIMERS:
                signal.setitimer(timer, 0)
        if "mask" in kinds:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        if "wakeup" in kinds:
            signal.set_wakeup_fd(-1)

    def _put_handlers_back(self) -> bool:
        for number, handler in self._changes.handlers.items():
            if handler is None:  # it was not set by Python, and cannot be
                return False
            if signal.getsignal(number) != handler:
                signal.signal(number, handler)
        return True

    def _put_limits_back(self) -> bool:
        try:
            for which, before in self._changes.limits.items():
                if resource.getrlimit(which) != before:
                    resource.setrlimit(which, before)
        except (ValueError, OSError):  # lowered for good
            return False
        return True

    def _put_streams_back(self) -> None:
        if "streams" in self._changes.kinds or self._open.poll(0):
            for descriptor, outside in enumerate(self._outside):
                os.dup2(outside, descriptor)
        # Let go of what is there in their place first: when it goes, it may close them.
        for name, stream in zip(_STREAMS, self._streams, strict=True):
            setattr(sys, name, stream)
        self._streams = tuple(
            stream if _is_usable(stream) else standard_stream(descriptor, self._encodings[descriptor])
            for descriptor, stream in enumerate(self._streams)
        )
        self._stdin, self._stdout, self._stderr = self._streams
        for name, stream in zip(_STREAMS, self._streams, strict=True):
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)

    def _put_environment_back(self) -> None:
        os.environ = self._environ  # noqa: B003  # that object, not what is in it
        for name, value in self._changes.of_modules.items():
            if value is None:
                self._environment.pop(name, None)
            else:
                self._environment[name] = value
        self._changes.of_modules.clear()
        for name in self._changes.variables.copy():
            value = self._environment.get(name)
            if value is None:
                os.environ.pop(name, None)
                os.unsetenv(name)
            else:
                os.environ[name] = value
        if "zone" in self._changes.kinds or "TZ" in self._changes.variables:
            time.tzset()

    def _put_interpreter_back(self) -> None:
        warnings.filters = self._filters
        if warnings.filters != self._changes.filters:
            cast("list[Any]", warnings.filters)[:] = self._changes.filters
            with warnings.catch_warnings():
                pass  # which has the interpreter look at the filters anew
        warnings.showwarning, warnings.formatwarning = self._showing
        if sys.getrecursionlimit() != self._changes.recursion:
            sys.setrecursionlimit(self._changes.recursion)
        gc.enable()
        sys.excepthook, threading.excepthook, sys.unraisablehook, sys.displayhook = self._hooks


def _is_usable(stream: TextIO) -> bool:
    try:
        return not stream.closed
    except ValueError:  # it has lost its buffer
        return False
