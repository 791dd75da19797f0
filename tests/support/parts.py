"""The real broker, database and schema registry for tests, in containers or as plain processes.

``FUNCLEDGER_TEST_PARTS=containers|native`` chooses. A part that cannot be had skips its tests on a laptop,
with the reason, and fails them with ``CI=true``.
"""

import atexit
import contextlib
import functools
import gc
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, Protocol, TypeVar

import pytest
from tests.support import leftovers
from tests.support.containers import ContainerKafka, ContainerMongo, ContainerRegistry

from funcledger_compose.native.build import PartMissing, kafka_libraries, mongo_binary, registry_program
from funcledger_compose.native.process import NativeProcess

T = TypeVar("T")


class Part(Protocol):
    """A running server."""

    @property
    def address(self) -> str:
        """Host and port."""
        ...

    def stop(self) -> None:
        """End it."""
        ...


def containers() -> bool:
    """Whether parts come from a container engine."""
    chosen = os.environ.get("FUNCLEDGER_TEST_PARTS")
    if chosen in ("containers", "native"):
        return chosen == "containers"
    return _engine_answers()


@functools.cache
def _engine_answers() -> bool:
    # Where there is no engine, its client leaves an open socket behind: collected here, not in some test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        answers = _pinged()
        gc.collect()
    return answers


def _pinged() -> bool:
    try:
        import docker

        with contextlib.closing(docker.DockerClient.from_env()) as engine:
            engine.ping()
    except Exception:  # whatever is wrong with it, it is not there for us
        return False
    return True


@functools.cache
def kafka() -> Part:
    """One broker for all tests of this process; each test has a prefix of its own."""
    return _brought("kafka", _native_kafka, ContainerKafka)


@functools.cache
def mongo() -> Part:
    """One MongoDB, or what stands in for it, for all tests of this process; each test has its database."""
    return _brought("mongo", _native_mongo, ContainerMongo)


@functools.cache
def registry() -> Part:
    """One schema registry for all tests of this process; each test has its prefix of subjects."""
    return _brought("registry", _native_registry, ContainerRegistry)


@functools.cache
def build() -> None:
    """Build and fetch what is missing; where that cannot be, the tests that need it say so."""
    for make in (mongo_binary, kafka_libraries, registry_program):
        with contextlib.suppress(PartMissing):
            make()


def own_mongo(folder: Path) -> NativeProcess:
    """A server that one test module may kill and start again; a process, whatever the others are."""
    return had("mongo", lambda: _native_mongo(folder))


def own_kafka(folder: Path) -> NativeProcess:
    """A broker that one test module may freeze, kill and start again; a process, whatever the others are."""
    return had("kafka", lambda: _native_kafka(folder))


def _brought(name: str, native: Callable[[Path], Part], container: Callable[[], Part]) -> Part:
    folder = Path(tempfile.mkdtemp(prefix=f"funcledger-{name}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with leftovers.staying():
        part = had(name, lambda: container() if containers() else native(folder))
    atexit.register(part.stop)
    return part


def had(name: str, make: Callable[[], T]) -> T:
    """What is made of a part, or, where that cannot be had, the end of the test: see :func:`absent`."""
    try:
        return make()
    except PartMissing as error:
        absent(name, str(error))


def absent(name: str, why: str) -> NoReturn:
    """Skip the test for want of a part, or fail it where all of them must be."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI needs {name}: {why}")
    pytest.skip(f"{name} is not here: {why}")


def _native_kafka(folder: Path) -> NativeProcess:
    from funcledger_compose.native.kafka import broker

    process = broker(folder)
    process.start()
    return process


def _native_mongo(folder: Path) -> NativeProcess:
    from funcledger_compose.native.mongo import mongo as server

    process = server(folder)
    process.start()
    return process


def _native_registry(folder: Path) -> NativeProcess:
    from funcledger_compose.native.registry import registry as server

    process = server(folder)
    process.start()
    return process
