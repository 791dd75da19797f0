"""Another process that opens what was written here, as a worker does, under this Python or another."""

import functools
import importlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from packaging.requirements import Requirement
from tests.support import parts

from funcledger_payloads import ExceptionPayload, dump_arguments, dump_function, load, load_exception

_WORKER = """
import pickle, sys
import funcledger_payloads as payloads
from funcledger_payloads.classes import CallClasses, begin_call

answers = sys.stdout.buffer
sys.stdout = sys.stderr
while True:
    try:
        body, form, arguments = pickle.load(sys.stdin.buffer)
    except EOFError:
        break
    begin_call(CallClasses())
    try:
        if form == "call/1":
            body, form, arguments = payloads.apart(arguments)
        function = payloads.open_function(body).call
        args, kwargs = payloads.load(form, arguments)
        answer = ("value", *payloads.dump(function(*args, **kwargs)))
    except BaseException as error:
        sent = payloads.dump_exception(error)
        answer = ("error", sent.error_type, sent.message, sent.traceback, sent.format, sent.payload)
    pickle.dump(answer, answers)
    answers.flush()
"""


class Elsewhere:
    """Makes calls in a process of its own that has none of this program's modules."""

    def __init__(self, python: str = sys.executable, path: Path | None = None) -> None:
        """``path`` is where another Python finds the packages that a worker needs."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        if path is not None:
            environment["PYTHONPATH"] = str(path)
        self._process = subprocess.Popen(
            [python, "-P", "-c", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            env=environment,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
        assert self._process.returncode == 0, f"it ended with {self._process.returncode}"

    def call(self, function: Callable[..., Any], *args: Any, serializer: str | None = None) -> Any:
        """What ``function(*args)`` gives there; raises what it raises."""
        return self.make(dump_function(function, serializer).bytes, *dump_arguments(args, {}))

    def make(self, body: bytes, payload_format: str, arguments: bytes) -> Any:
        """What a call gives that was written earlier."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pickle.dump((body, payload_format, arguments), self._process.stdin)
        self._process.stdin.flush()
        kind, *parts = pickle.load(self._process.stdout)
        if kind == "error":
            raise load_exception(ExceptionPayload(*parts))
        return load(*parts)


def packages_for_another_python(directory: Path, *versions: str) -> Path:
    """A directory with what the SDK and a worker's payloads stand on: all of it is Python, and so for any.

    It is what the hashed locks brought here, without a network; ``versions`` are those that use it.
    """
    directory.mkdir(exist_ok=True)
    for package in ("funcledger", "funcledger_payloads", "funcledger_schemas"):
        place = Path(importlib.import_module(package).__file__ or "").parent
        shutil.copytree(place, directory / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in _brought_by("funcledger", versions, set()) - {"funcledger"}:
        distribution = metadata.distribution(name)
        tops = {
            file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")
        }
        for top in tops:
            place = Path(str(distribution.locate_file(top)))
            if place.is_dir():
                shutil.copytree(place, directory / top, dirs_exist_ok=True)
            else:
                shutil.copy(place, directory / top)
    return directory


def _brought_by(name: str, versions: Sequence[str], found: set[str]) -> set[str]:
    """The distributions that this one needs under any of these Pythons, itself included."""
    if name not in found:
        found.add(name)
        for text in metadata.requires(name) or ():
            needed = Requirement(text)
            pythons = [{"extra": "", "python_version": v, "python_full_version": f"{v}.0"} for v in versions]
            if needed.marker is None or any(needed.marker.evaluate(python) for python in pythons):
                _brought_by(needed.name, versions, found)
    return found


def another_python() -> tuple[str, str]:
    """Version and path of one of them; where there is none, the test ends, and in CI fails."""
    if not (found := other_pythons()):
        parts.absent("another Python", "install one from 3.11 on, or name it with FUNCLEDGER_OTHER_PYTHON")
    return next(iter(found.items()))


@functools.cache
def other_pythons() -> dict[str, str]:
    """Interpreters of other minor versions on this machine: version -> path.

    One that FUNCLEDGER_OTHER_PYTHON names, those on the path, and those of pyenv.
    """
    candidates = [os.environ.get("FUNCLEDGER_OTHER_PYTHON")]
    candidates += [shutil.which(f"python3.{minor}") for minor in range(11, 15)]
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates += [str(path) for path in sorted(root.glob("versions/3.*/bin/python"))]
    found: dict[str, str] = {}
    for candidate in filter(None, candidates):
        version = _version_of(candidate)
        if version is not None and version >= (3, 11) and version != sys.version_info[:2]:
            found.setdefault(".".join(map(str, version)), candidate)
    return found


def _version_of(python: str) -> tuple[int, int] | None:
    code = "import sys, json; print(json.dumps(sys.version_info[:2]))"
    ran = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    if ran.returncode:
        return None  # a shim of pyenv for a version that is not chosen
    major, minor = json.loads(ran.stdout)
    return major, minor
