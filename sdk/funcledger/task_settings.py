"""What a user sets, when something is made or later: it has its effect, or is refused with a sentence."""

import json
import logging
from collections.abc import Callable, Mapping
from functools import partial
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any

from funcledger.errors import InvalidRequest
from funcledger.submission import MEMORY_LIMIT, TaskOptions, resources
from funcledger_schemas.limits import ATTEMPTS_LIMIT, EXPIRY_LIMIT, WALLTIME_LIMIT

_log = logging.getLogger(__name__)

#: What programs of the original service may give, that has no counterpart here, and why.
_NO_COUNTERPART = {
    "result_serializers": "results say themselves how they are read",
    "container_uuid": "functions run in their endpoint's environment",
    "container_id": "functions run in their endpoint's environment",
    "searchable": "a function is found by all who may run it, and by nobody else",
    "create_websocket_queue": "results come over the connection that asks for them",
    "amqp_port": "results come over the server's own address",
    "api_burst_limit": "the server says how fast it may be asked",
    "api_burst_window_s": "the server says how fast it may be asked",
    "endpoint_version": "server and endpoint say themselves what they cannot do",
    "multi_user": "who may use an endpoint is said by share_endpoint",
    "multi_tenant": "who may use an endpoint is said by share_endpoint",
    "display_name": "an endpoint has its name, and a description",
    "high_assurance": "there are no policies of sign-in here",
    "auth_policy": "there are no policies of sign-in here",
    "subscription_uuid": "there are no subscriptions here",
    "allowed_functions": "whoever may use an endpoint may run his functions there",
    "function_id": "call a registered function with submit_to_registered_function",
}


def refuse(**given: object) -> None:
    """Refuse what has no effect here, unless it says no more than what holds anyway.

    Raises:
        InvalidRequest: naming it, and why.
    """
    for name, value in given.items():
        holds_anyway = name == "searchable"
        if value is not None and value is not holds_anyway:
            raise InvalidRequest(f"{name} has no effect here: {_NO_COUNTERPART[name]}. Leave it out.")


def refuse_others(call: str, given: Mapping[str, object]) -> None:
    """Refuse keywords that a call does not have: with the reason where the original has them.

    Raises:
        InvalidRequest: of the original's; false and empty values say no more than what holds anyway.
        TypeError: of others.
    """
    for name, value in given.items():
        if name not in _NO_COUNTERPART:
            raise TypeError(f"{call}() has no keyword {name!r}")
        refuse(**{name: value or None})


def either(name: str, given: Any, other: str, also: Any) -> Any:
    """What was given under one of its two names.

    Raises:
        InvalidRequest: under none, or both.
    """
    if (given is None) == (also is None):
        raise InvalidRequest(f"Give {name}= (or {other}=, which means the same), once.")
    return also if given is None else given


class Setting:
    """An attribute that takes effect for all that is submitted after it was set."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, of: Any, owner: type) -> Any:
        if of is None:
            return self
        value = of._settings[self._name]
        return MappingProxyType(value) if isinstance(value, dict) else value

    def __set__(self, of: Any, value: Any) -> None:
        of._set(**{self._name: value})


class Settable:
    """Refuses to be given attributes that would have no effect; ``_fields`` are plain ones that have one."""

    _fields: frozenset[str] = frozenset()

    def __setattr__(self, name: str, value: Any) -> None:
        known = (
            name.startswith("_")
            or name in self._fields
            or hasattr(getattr(type(self), name, None), "__set__")
        )
        if not known and type(self).__module__.startswith("funcledger."):
            kind = type(self).__name__
            reason = _NO_COUNTERPART.get(name)
            if reason is not None:
                raise InvalidRequest(f"{name} of {kind} has no effect here: {reason}. Leave it out.")
            raise AttributeError(f"{kind} has no setting {name!r}, so that would have no effect.")
        super().__setattr__(name, value)


class TaskSettings(Settable):
    """How tasks are run: walltime and expires_in in seconds, memory in bytes or as a size such as "2GB"."""

    walltime, memory, max_attempts, expires_in = Setting(), Setting(), Setting(), Setting()
    #: Dictionaries that JSON can hold; read-only, to be set as a whole.
    resource_specification, user_endpoint_config = Setting(), Setting()
    _fields = frozenset({"options"})
    #: What holds until another is set.
    _settings: Mapping[str, Any] = dict.fromkeys(
        ("walltime", "memory", "max_attempts", "expires_in", "resource_specification", "user_endpoint_config")
    )

    def _set(self, **changed: Any) -> None:
        """Set these, and leave the others as they are."""
        for name in changed.keys() & _CHECKS.keys():
            if changed[name] is not None:
                changed[name] = _CHECKS[name](name, changed[name])
        settings = {**self._settings, **changed}
        self.options = TaskOptions(
            settings["walltime"],
            settings["max_attempts"],
            settings["expires_in"],
            resources(settings["resource_specification"], settings["memory"]),
            settings["user_endpoint_config"],
        )
        self._settings = settings


def whole_number(name: str, given: Any, most: float = float("inf")) -> int:
    """The number, as JSON can hold it.

    Raises:
        InvalidRequest: it is none, or not from 1 to ``most``.
    """
    if isinstance(given, bool) or not isinstance(given, Integral):
        raise InvalidRequest(f"{name} must be a whole number, not {given!r}.")
    number = int(given)
    if not 1 <= number <= most:
        upper = "" if most == float("inf") else f" and at most {most:,}"
        raise InvalidRequest(f"{name} must be at least 1{upper}, not {given}.")
    return number


def _seconds(name: str, given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, Real):
        raise InvalidRequest(f"{name} must be a number of seconds, not {given!r}.")
    seconds = float(given)
    if not 0 < seconds <= WALLTIME_LIMIT:
        raise InvalidRequest(
            f"{name} must be more than 0 seconds and at most {WALLTIME_LIMIT:,.0f}, not {given}."
        )
    return seconds


#: What has been said to be without effect, so that it is said once.
_said: set[tuple[str, str]] = set()


def _noted(name: str, given: Any) -> dict[str, Any]:
    """Settings that stand in the task's history; a word about those that no worker heeds."""
    settings = _as_json(name, given)
    heeded = {MEMORY_LIMIT} if name == "resource_specification" else set()
    if unsaid := [key for key in sorted(settings.keys() - heeded) if (name, key) not in _said]:
        _said.update((name, key) for key in unsaid)
        _log.warning(
            "%s: %s is kept in the tasks' history and changes nothing of how they run%s",
            name,
            ", ".join(map(repr, unsaid)),
            f" (only {MEMORY_LIMIT!r} does)" if heeded else "",
        )
    return settings


def _as_json(name: str, given: Any) -> dict[str, Any]:
    """A copy, so that what becomes of the original later changes no task's."""
    if not isinstance(given, Mapping):
        raise InvalidRequest(f"{name} must be a dictionary, not {type(given).__name__}.")
    try:
        copy: dict[str, Any] = json.loads(json.dumps(dict(given)))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"{name} must be a dictionary that JSON can hold: {error}.") from None
    return copy


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "walltime": _seconds,
    "max_attempts": partial(whole_number, most=ATTEMPTS_LIMIT),
    "expires_in": partial(whole_number, most=EXPIRY_LIMIT),
    "resource_specification": _noted,
    "user_endpoint_config": _noted,
}
