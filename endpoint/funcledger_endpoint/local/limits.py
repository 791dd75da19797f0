"""What one worker, with all that its tasks start, may take; and what a task asks to be held to itself."""

import json
from functools import lru_cache
from typing import NamedTuple

from funcledger_schemas.sizes import show_size

#: Processes and threads of one worker where nothing is set: more than sensible tasks have, less than bombs.
PROCESSES = 4096
#: A worker that has called nothing yet takes some tens of MB.
LEAST_MEMORY = 128 * 1000**2
#: Beyond the limit on memory, for saying that it was met; in bytes.
RESERVE = 64 * 1024 * 1024
#: A worker is one process; what it calls may well want a few threads.
LEAST_PROCESSES = 4
#: Where a task's own limit stands in its resource specification, in bytes.
MEMORY_LIMIT = "memory_limit"


class Limits(NamedTuple):
    """Of each worker: bytes of memory, processes and threads, seconds of a call. None is no limit."""

    memory: int | None = None
    processes: int | None = PROCESSES
    walltime: float | None = None


@lru_cache(maxsize=1024)
def memory_asked(resource_specification: str | None) -> int:
    """The limit on memory that a task asks for, 0 for none; what cannot be read is none."""
    if resource_specification is None:
        return 0
    try:
        found = json.loads(resource_specification).get(MEMORY_LIMIT)
    except (ValueError, AttributeError, RecursionError):
        return 0
    return max(found, LEAST_MEMORY) if type(found) is int and found > 0 else 0


def memory_in_force(limits: Limits, asked: int) -> tuple[int, str]:
    """The lower of the endpoint's limit and the task's (0 for none), and whose it is, for people."""
    if asked and (limits.memory is None or asked < limits.memory):
        return asked, f"the task's limit is {show_size(asked)} (`memory`)"
    if limits.memory is not None:
        return limits.memory, _endpoints("memory", show_size(limits.memory))
    return 0, ""


def walltime_in_force(limits: Limits, asked: float | None) -> tuple[float | None, str]:
    """The same for walltime, in seconds."""
    if limits.walltime is None or (asked is not None and asked <= limits.walltime):
        return asked, "" if asked is None else f"its walltime is {asked:g} s"
    return limits.walltime, _endpoints("walltime", f"{limits.walltime:g} s")


def too_many(found: int, limit: int) -> str:
    """What is said of a worker with too many processes."""
    what = f"the call and what it had started were {found} processes and threads"
    return f"{what}; {_endpoints('processes', str(limit))}"


def _endpoints(name: str, limit: str) -> str:
    return f"this endpoint's limit is {limit} (`{name}` in its config.toml)"
