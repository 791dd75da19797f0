"""What calls change of loggers, by the methods that change them, and how it is put back."""

import contextlib
import functools
import logging
from collections.abc import Callable
from typing import Any

from funcledger_endpoint.worker.changes import ProcessChanges, is_importing

_METHODS = ("setLevel", "addHandler", "removeHandler", "addFilter", "removeFilter")
#: Level, handlers, filters, whether it hands on to those above, whether it is switched off.
_State = tuple[int, list[logging.Handler], list[Any], bool, bool]


class LoggerState:
    """How all loggers were is noted at a call's first change of any; of one made later, at its own first."""

    def __init__(self, changes: ProcessChanges) -> None:
        self._changes = changes
        self._before: dict[logging.Logger, _State] = {}
        self._disabled = logging.root.manager.disable
        #: The handlers that the root is to have.
        self.of_root = list(logging.root.handlers)

    def watch(self) -> None:
        """Begin."""
        for name in _METHODS:
            setattr(logging.Logger, name, self._noting(getattr(logging.Logger, name)))
        logging.disable = self._noting_disable(logging.disable)

    def put_back(self) -> None:
        """Put all of it back; handlers that calls have added are closed."""
        if logging.root.manager.disable != self._disabled:
            logging.root.manager.disable = self._disabled
        if logging.root.handlers != self.of_root:
            self._note(logging.root)
            self._before[logging.root][1][:] = self.of_root
        for logger, state in list(self._before.items()):
            if _state(logger) != state:
                _restore(logger, state)
        self._before.clear()

    def _note(self, logger: logging.Logger) -> None:
        self._changes.kinds.add("loggers")
        if not self._before:
            known = logging.root.manager.loggerDict.values()
            loggers = [logging.root, *(one for one in known if isinstance(one, logging.Logger))]
            self._before = {one: _state(one) for one in loggers}
        if logger not in self._before:
            self._before[logger] = _state(logger)

    def _noting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def called(logger: Any, *args: Any, **kwargs: Any) -> Any:
            if not is_importing():
                self._note(logger)
                return original(logger, *args, **kwargs)
            original(logger, *args, **kwargs)
            if logger is logging.root:
                self.of_root = list(logger.handlers)
            return None

        return called

    def _noting_disable(self, original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def called(level: int = logging.CRITICAL) -> None:
            importing = is_importing()
            if not importing:
                self._note(logging.root)
            original(level)
            if importing:
                self._disabled = level

        return called


def _state(logger: logging.Logger) -> _State:
    handlers, filters = list(logger.handlers), list(logger.filters)
    return logger.level, handlers, filters, logger.propagate, logger.disabled


def _restore(logger: logging.Logger, state: _State) -> None:
    level, handlers, filters, logger.propagate, logger.disabled = state
    for handler in logger.handlers:
        if handler not in handlers:
            with contextlib.suppress(Exception):  # of whatever class it is
                handler.close()
    logger.handlers, logger.filters = handlers, filters
    logger.setLevel(level)
