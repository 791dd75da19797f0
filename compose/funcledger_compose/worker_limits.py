"""The limits of an endpoint's workers, from its settings file and, over that, from the environment."""

import os
from collections.abc import Mapping

from funcledger_compose.endpoint_dir import EndpointDir, EndpointDirError, EndpointSettings
from funcledger_endpoint.local.limits import LEAST_MEMORY, LEAST_PROCESSES, Limits
from funcledger_schemas.sizes import parse_size, show_size

#: ``FUNCLEDGER_ENDPOINT_MEMORY`` and so on come before what the file says.
PREFIX = "FUNCLEDGER_ENDPOINT_"


def limits_of(
    settings: EndpointSettings, where: EndpointDir, environ: Mapping[str, str] = os.environ
) -> Limits:
    """What each worker is held to; 0 in a setting is no limit.

    Raises:
        EndpointDirError: one that cannot be used; the message names it and where it came from.
    """

    def setting(name: str) -> tuple[str | float, str]:
        named = environ.get(PREFIX + name.upper())
        return (
            (named, PREFIX + name.upper()) if named else (getattr(settings, name), f"{where.config}: {name}")
        )

    return Limits(
        _memory(*setting("memory")), _processes(*setting("processes")), _seconds(*setting("walltime"))
    )


def _memory(given: str | float, place: str) -> int | None:
    if given in (0, "0", ""):
        return None
    try:
        found = parse_size(given if isinstance(given, str) else int(given))
    except ValueError as error:
        raise EndpointDirError(f"{place}: {error}") from None
    if found < LEAST_MEMORY:
        raise EndpointDirError(
            f"{place}: {show_size(found)} is not enough for a worker; {show_size(LEAST_MEMORY)} is the least"
        )
    return found


def _processes(given: str | float, place: str) -> int | None:
    found = _number(given, place)
    if found and found < LEAST_PROCESSES:
        raise EndpointDirError(f"{place}: a worker needs at least {LEAST_PROCESSES}, not {found:g}")
    return int(found) or None


def _seconds(given: str | float, place: str) -> float | None:
    return _number(given, place) or None


def _number(given: str | float, place: str) -> float:
    try:
        found = float(given)
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise EndpointDirError(f"{place}: {given!r} is not a number, or below zero; 0 is no limit")
    return found
