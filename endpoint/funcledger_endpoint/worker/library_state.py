"""What calls change in libraries that all calls of a worker share: seeds, time zone, tables, event loops."""

import contextlib
import copyreg
import random
import socket
import sys
import threading
import time
from abc import ABCMeta
from collections.abc import Callable
from functools import partial
from typing import Any

from funcledger_endpoint.worker.changes import ProcessChanges

#: What seeds NumPy's own generator, and where that is made.
_NUMPY = ("numpy.random", "numpy.random.mtrand")
_ASYNCIO = ("asyncio", "asyncio.events")
#: Numbers that nothing changes but their setters: kind of change, owner, setter, getter.
_NUMBERS: tuple[tuple[str, Any, str, str], ...] = (
    ("switch interval", sys, "setswitchinterval", "getswitchinterval"),
    ("digits", sys, "set_int_max_str_digits", "get_int_max_str_digits"),
    ("socket timeout", socket, "setdefaulttimeout", "getdefaulttimeout"),
)


class LibraryState:
    """As it is before the first call, when this is made; what modules do at import is added to it."""

    def __init__(self, changes: ProcessChanges) -> None:
        self._changes = changes
        self._numbers = {kind: getattr(owner, get)() for kind, owner, _, get in _NUMBERS}
        self._reducers = dict(copyreg.dispatch_table)
        #: By kind of change, what seeds a generator from the system.
        self._reseed: dict[str, Callable[[], object]] = {"seed": random.seed}
        #: The number of modules when they were looked at last.
        self.modules_seen = len(sys.modules)
        #: asyncio's own module once somebody has imported it, and the policy that one has set at import.
        self.events: Any = None
        self._policy: Any = None

    def watch(self) -> None:
        """Begin."""
        watch = self._changes.watch_setter
        for kind, owner, setter, _ in _NUMBERS:
            watch(owner, setter, kind, partial(self._numbers.__setitem__, kind))
        for name in ("seed", "setstate"):
            watch(random, name, "seed")
        watch(time, "tzset", "zone")
        watch(copyreg, "pickle", "reducers", self._keep_reducer)
        for name in ("settrace", "setprofile"):
            watch(threading, name, "thread hooks")
        self._changes.watch_registrations(ABCMeta)

    @property
    def has_event_loop(self) -> bool:
        """Whether a call has left one of asyncio's, or a policy for them; once ``events`` is there."""
        return self.events._event_loop_policy is not self._policy

    def put_back(self, kinds: set[str]) -> None:
        """Put back what is not as it was; ``kinds`` of changes were noted."""
        for kind, owner, setter, _ in _NUMBERS:
            if kind in kinds:
                getattr(owner, setter)(self._numbers[kind])
        for kind, reseed in self._reseed.items():
            if kind in kinds:
                reseed()
        if "reducers" in kinds:
            copyreg.dispatch_table.clear()
            copyreg.dispatch_table.update(self._reducers)
        if "thread hooks" in kinds:
            threading.settrace(None)
            threading.setprofile(None)
        if self.events is not None and self.has_event_loop:
            self._put_event_loop_back()

    def _put_event_loop_back(self) -> None:
        policy = self.events._event_loop_policy
        loop = getattr(getattr(policy, "_local", None), "_loop", None)
        if loop is not None:
            with contextlib.suppress(Exception):  # of whatever class it is
                loop.close()
        self.events._event_loop_policy = self._policy

    def new_modules(self) -> bool:
        """Watch those that have come; whether any may not be as it is to be already."""
        self.modules_seen = len(sys.modules)
        if self.events is None and all(sys.modules.get(name) for name in _ASYNCIO):
            self._watch_asyncio(*(sys.modules[name] for name in _ASYNCIO))
        if "numpy seed" not in self._reseed and all(sys.modules.get(name) for name in _NUMPY):
            self._watch_numpy(*(sys.modules[name] for name in _NUMPY))
        return None in sys.modules.values()

    def _watch_asyncio(self, asyncio: Any, events: Any) -> None:
        """A policy of another class than asyncio's is taken for one that a library has set at import."""
        self.events = events
        policy = events._event_loop_policy
        if policy is not None and type(policy) is not asyncio.DefaultEventLoopPolicy:
            self._policy = policy
        for module in (asyncio, events):
            self._changes.watch_setter(module, "set_event_loop_policy", "policy", self._keep_policy)

    def _watch_numpy(self, numpy_random: Any, made_in: Any) -> None:
        """The call that has imported it may have seeded it before it was watched."""
        if not hasattr(numpy_random, "seed"):  # it is half imported
            return
        self._reseed["numpy seed"] = numpy_random.seed
        for module in (numpy_random, made_in):
            for name in ("seed", "set_state"):
                if hasattr(module, name):
                    self._changes.watch_setter(module, name, "numpy seed")
        self._changes.kinds.add("numpy seed")

    def _keep_reducer(self, kind: type, *_: object) -> None:
        self._reducers[kind] = copyreg.dispatch_table[kind]

    def _keep_policy(self, policy: object) -> None:
        self._policy = policy
