"""Fetches and builds the native parts once, into a cache beside the repository's own files."""

import os
import shutil
import subprocess
from pathlib import Path

#: Where pom.xml and go.mod stand, in a checkout.
RECIPES = Path(__file__).parents[2] / "parts"


class PartMissing(Exception):
    """Raised when a part cannot be had here; the message names what would bring it."""


def cache() -> Path:
    """Where built parts are kept: ``FUNCLEDGER_PARTS_CACHE``, or ``.cache/parts`` of the checkout."""
    named = os.environ.get("FUNCLEDGER_PARTS_CACHE")
    return Path(named) if named else RECIPES.parents[1] / ".cache" / "parts"


def kafka_libraries() -> Path:
    """The broker's Java archives, fetched by Maven on first use."""
    _need("java", "Java 17 or newer")
    target = cache() / "kafka"
    if not (target / ".complete").exists():
        _need("mvn", "Maven")
        recipe = str(RECIPES / "kafka" / "pom.xml")
        _run(["mvn", "-q", "-B", "-f", recipe, "dependency:copy-dependencies", f"-DoutputDirectory={target}"])
        (target / ".complete").touch()
    return target


def registry_program() -> Path:
    """The schema registry's Java program, fetched by Maven on first use."""
    _need("java", "Java 17 or newer")
    target = cache() / "apicurio"
    if not (target / ".complete").exists():
        _need("mvn", "Maven")
        recipe = str(RECIPES / "apicurio" / "pom.xml")
        _run(["mvn", "-q", "-B", "-f", recipe, "dependency:unpack", f"-DoutputDirectory={target}"])
        (target / ".complete").touch()
    return next(target.glob("*-runner.jar"))


def mongo_binary() -> Path:
    """The MongoDB-compatible server, built by Go on first use."""
    return _built_by_go("mongo")


def door_binary() -> Path:
    """Caddy with what our Caddyfile asks of it, built by Go on first use."""
    return _built_by_go("door")


def _built_by_go(name: str) -> Path:
    target = cache() / name / "server"
    if not target.exists():
        _need("go", "Go 1.22 or newer")
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_suffix(f".new-{os.getpid()}")
        _run(["go", "build", "-o", str(beside), "."], RECIPES / name)
        beside.rename(target)
    return target


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
