"""Fetches and builds the native parts once, into a cache beside the repository's own files."""

import fcntl
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Where pom.xml and go.mod stand, in a checkout.
RECIPES = Path(__file__).parents[2] / "parts"
#: Of FerretDB, what we do not use of its many drivers.
_WITHOUT = "ferretdb_no_postgresql"


class PartMissing(Exception):
    """Raised when a part cannot be had here; the message names what would bring it."""


def cache() -> Path:
    """Where built parts are kept: ``FUNCLEDGER_PARTS_CACHE``, or ``.cache/parts`` of the checkout."""
    named = os.environ.get("FUNCLEDGER_PARTS_CACHE")
    return Path(named) if named else RECIPES.parents[1] / ".cache" / "parts"


def kafka_libraries() -> Path:
    """The broker's Java archives, fetched by Maven on first use."""
    return _fetched_by_maven("kafka", "copy-dependencies")


def registry_program() -> Path:
    """The schema registry's Java program, fetched by Maven on first use."""
    return next(_fetched_by_maven("apicurio", "unpack").glob("*-runner.jar"))


def mongo_binary() -> Path:
    """The MongoDB-compatible server, built by Go on first use."""
    target = cache() / "mongo" / "server"
    if not target.exists():
        _need("go", "Go 1.22 or newer")
        with _one_at_a_time("mongo"):
            if not target.exists():
                beside = target.with_name("server.new")
                _run(["go", "build", f"-tags={_WITHOUT}", "-o", str(beside), "."], RECIPES / "mongo")
                beside.rename(target)
    return target


def door_binary() -> Path:
    """Caddy, which comes with the environment that ``make`` prepares, or is the system's."""
    beside = Path(sysconfig.get_path("scripts")) / "caddy"
    found = str(beside) if beside.exists() else shutil.which("caddy")
    if found is None:
        raise PartMissing("Caddy 2.10 is not installed: install requirements-dev.lock, as make does")
    return Path(found)


def _fetched_by_maven(name: str, goal: str) -> Path:
    _need("java", "Java 17 or newer")
    target = cache() / name
    if not (target / ".complete").exists():
        _need("mvn", "Maven")
        with _one_at_a_time(name):
            if not (target / ".complete").exists():
                recipe = ["-f", str(RECIPES / name / "pom.xml"), f"-DoutputDirectory={target}"]
                _run(["mvn", "-q", "-B", f"dependency:{goal}", *recipe])
                (target / ".complete").touch()
    return target


@contextmanager
def _one_at_a_time(name: str) -> Iterator[None]:
    """Whoever comes second waits, and finds what the first has made; the system frees it with a process."""
    folder = cache() / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "making.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _need(program: str, what: str) -> None:
    if not RECIPES.exists():
        raise PartMissing(
            "the native parts are built from a checkout of the repository, not from the package"
        )
    if shutil.which(program) is None:
        raise PartMissing(f"{what} is not installed (no {program} on PATH)")


def _run(command: list[str], folder: Path | None = None) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr)[-2000:]
        raise PartMissing(f"{' '.join(command)} failed with {done.returncode}:\n{said}")
