"""What an agent tells of the machine it runs on."""

import hashlib
import os
import platform
import socket
from functools import cache
from importlib import metadata
from typing import NamedTuple

import psutil


class Machine(NamedTuple):
    """What does not change while an agent runs."""

    host: str
    platform: str
    python_version: str
    agent_version: str
    distributions_sha256: str


class Usage(NamedTuple):
    """How busy the machine is; memory in bytes, load as the average of the last minute."""

    cores: int
    memory_total: int
    memory_available: int
    load: float


@cache
def describe() -> Machine:
    """This machine. Takes some tens of milliseconds the first time, to read what is installed."""
    installed = sorted({f"{found.name}=={found.version}" for found in metadata.distributions()})
    return Machine(
        socket.gethostname(),
        f"{platform.system()} {platform.machine()}",
        platform.python_version(),
        metadata.version("funcledger"),
        hashlib.sha256("\n".join(installed).encode()).hexdigest(),
    )


def usage() -> Usage:
    """How busy it is now."""
    memory = psutil.virtual_memory()
    return Usage(os.cpu_count() or 1, memory.total, memory.available, os.getloadavg()[0])
