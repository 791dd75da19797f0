"""What can carry a laboratory's code, and for how many µs: dill, cloudpickle, and ours, as a table.

``python -m benchmarks.serialisers`` sends each of a hundred functions, once as functions of the script and
once of a module beside it, and each of the names in ``common_names.txt`` to a process that has none of this
program's modules. A writer has 2 s for one function.
"""

import importlib
import pickle
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import cloudpickle
import dill
from tests.support import laboratory, laboratory_helpers

from funcledger_payloads import dump_arguments, dump_function

_LIMIT = 2
#: Names that scientists import one by one; those of what is not installed are left out, and counted.
COMMON = Path(__file__).with_name("common_names.txt").read_text().split()
_READER = """
import pickle, sys
{imports}
rows = pickle.load(sys.stdin.buffer)
found = []
for function, arguments in rows:
    try:
        found.append(({load})(function, arguments))
    except BaseException as error:
        found.append((False, f"{{type(error).__name__}}: {{error}}"[:160]))
pickle.dump(found, sys.stdout.buffer)
"""
_OURS = """
import funcledger_payloads as payloads
from funcledger_payloads.classes import CallClasses, begin_call
def run(function, arguments):
    begin_call(CallClasses())
    called = payloads.open_function(function).call
    args, _ = payloads.load(*arguments)
    return True, payloads.dump(called(*args))
"""
_THEIRS = """
import {name}
def run(function, arguments):
    called, args = {name}.loads(function), {name}.loads(arguments)
    return True, {name}.dumps(called(*args))
"""


@dataclass
class Contender:
    """Who writes: ``write`` gives function and arguments as bytes, ``read`` what came back."""

    name: str
    write: Callable[[Any, tuple[Any, ...]], tuple[Any, Any]]
    read: Callable[[Any], Any]
    imports: str
    by_value: bool = False
    micros: list[float] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def contenders() -> list[Contender]:
    """The three of them; dill as it was used before, with ``recurse``."""
    import funcledger_payloads

    return [
        Contender(
            "dill",
            lambda function, args: (dill.dumps(function, recurse=True), dill.dumps(args, recurse=True)),
            dill.loads,
            _THEIRS.format(name="dill"),
        ),
        Contender(
            "cloudpickle",
            lambda function, args: (cloudpickle.dumps(function), cloudpickle.dumps(args)),
            cloudpickle.loads,
            _THEIRS.format(name="cloudpickle"),
        ),
        Contender(
            "cloudpickle, told which modules",
            lambda function, args: (cloudpickle.dumps(function), cloudpickle.dumps(args)),
            cloudpickle.loads,
            _THEIRS.format(name="cloudpickle"),
            by_value=True,
        ),
        Contender(
            "ours",
            lambda function, args: (dump_function(function).bytes, dump_arguments(args, {})),
            lambda back: funcledger_payloads.load(*back),
            _OURS,
        ),
    ]


def _too_long(_: int, __: FrameType | None) -> None:
    raise TimeoutError(f"over {_LIMIT} s")


def written(contender: Contender, name: str, function: Any, args: tuple[Any, ...]) -> tuple[Any, Any] | None:
    """What is sent; the time it took is noted, or why it could not be written."""
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(_LIMIT)
    try:
        made = contender.write(function, args)
        signal.alarm(0)
        took = []
        for _ in range(5):
            began = time.perf_counter()
            contender.write(function, args)
            took.append(1e6 * (time.perf_counter() - began))
        contender.micros.append(min(took))
        return made
    except Exception as error:
        contender.failed[name] = f"not written: {type(error).__name__}: {error}"[:160]
        return None
    finally:
        signal.alarm(0)


def compare(contender: Contender, calls: list[Any]) -> None:
    """Have the calls made in another process, and see which give the right value."""
    sent = [(call, made) for call in calls if (made := written(contender, *call[:3])) is not None]
    program = _READER.format(imports=contender.imports, load="run")
    ran = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", program],
        input=pickle.dumps([made for _, made in sent]),
        stdout=subprocess.PIPE,
        cwd="/",
        check=True,
    )
    for ((name, _, _, wanted), _), (right, back) in zip(sent, pickle.loads(ran.stdout), strict=True):
        if not right:
            contender.failed[name] = f"not run: {back}"
            continue
        try:
            value = contender.read(back)
        except Exception as error:
            contender.failed[name] = f"not read: {error}"[:160]
            continue
        if wanted is not None and (value != wanted or type(value) is not type(wanted)):
            contender.failed[name] = f"wrong: {value!r}"[:160]


def common_calls() -> tuple[list[Any], list[str]]:
    """A function of a script for each common name that mentions it, and the names that are not here."""
    calls, absent = [], []
    for each in COMMON:
        module, _, name = each.partition(":")
        try:
            value = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            absent.append(each)
            continue
        cells = {"__name__": "__main__", name: value}
        exec(f"def uses():\n    return {name} is not None", cells)
        calls.append((each, cells["uses"], (), True))
    return calls, absent


def calls_of_the_script() -> list[Any]:
    """The hundred functions as they are where the laboratory's file is the script that runs."""
    script = vars(sys.modules["__main__"])
    exec(compile(Path(laboratory.__file__).read_text(), laboratory.__file__, "exec"), script)
    calls: list[Any] = script["CALLS"]
    return calls


def main() -> None:
    """Print the table, and what failed; arguments name the contenders, without any it is all of them."""
    common, absent = common_calls()
    kinds = [("common names", common), ("of the script", calls_of_the_script())]
    kinds.append(("of a module beside it", laboratory.CALLS))
    print(
        f"{len(laboratory.CALLS)} functions, {len(common)} common names ({len(absent)} not installed here)\n"
    )
    print(f"| | {' | '.join(kind for kind, _ in kinds)} | median µs | slowest ms |")
    print("|---" * (len(kinds) + 3) + "|")
    for contender in contenders():
        if sys.argv[1:] and contender.name not in sys.argv[1:]:
            continue
        if contender.by_value:
            cloudpickle.register_pickle_by_value(laboratory)
            cloudpickle.register_pickle_by_value(laboratory_helpers)
        cells = []
        for kind, calls in kinds:
            contender.failed.clear()
            compare(contender, calls)
            cells.append(f"{len(calls) - len(contender.failed)} of {len(calls)}")
            for what, why in contender.failed.items():
                print(f"{contender.name}, {kind}, {what}: {why}", file=sys.stderr)
        times = contender.micros
        cells += [f"{statistics.median(times):.0f}", f"{max(times) / 1000:.1f}"]
        print(f"| {contender.name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
