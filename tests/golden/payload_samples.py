"""Payloads of every kind, as each supported Python writes them; each later release must read or refuse them.

``python tests/golden/payload_samples.py record`` writes those of the Python that runs it, once; ``check``
opens what all have written and says what came of it. It stands on the room of payloads alone, so that any
Python with that on its path can run it.
"""

import base64
import datetime
import enum
import functools
import json
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from funcledger_payloads import (
    ComputeError,
    ExceptionPayload,
    code_of,
    dump,
    dump_arguments,
    dump_exception,
    dump_function,
    load,
    load_exception,
    load_function,
)
from funcledger_payloads.arguments import apart, with_function
from funcledger_payloads.container import CALL, HERE

DIRECTORY = Path(__file__).parent / "payloads"
FACTOR = 3


class Level(enum.Enum):
    """An enum of the script."""

    LOW = 1
    HIGH = 2


class Point:
    """A class of the script."""

    def __init__(self, x: int) -> None:
        self.x = x

    def __repr__(self) -> str:
        return f"Point({self.x})"

    def doubled(self) -> int:
        """Twice x."""
        return self.x * 2


class Failed(Exception):
    """An exception of the script."""

    def __init__(self, code: int, where: str) -> None:
        super().__init__(f"{code} at {where}")
        self.code = code


def area(r: float) -> float:
    """Its source stands alone, with a module and a constant."""
    return round(math.pi * r * r) + FACTOR


def loop(n: int) -> int:
    """Bytecode of loops differs from version to version."""
    total = 0
    for i in range(n):
        if i % 2:
            total += helper(i)
    return total


def helper(x: int) -> int:
    """What ties ``loop`` to where it was written."""
    return x * FACTOR


def apply(function: Any, *args: Any) -> Any:
    """Call what is given."""
    return function(*args)


def closure(number: int) -> Any:
    """A function with a variable from outside."""
    return lambda x: x + number


@dataclass
class Sample:
    """One payload: its ``kind`` says how it is opened, ``result`` is the text of what comes of it."""

    name: str
    kind: str
    payload_format: str
    payload: str
    code: str | None
    result: str
    args: str = ""


def samples() -> Iterator[Sample]:
    """As this Python writes them."""
    functions = (
        ("a function whose source stands alone", area, (2,)),
        ("a function tied to its place", loop, (5,)),
        ("a closure", closure(4), (3,)),
        ("a partial", functools.partial(loop, 4), ()),
        ("a method", Point(4).doubled, ()),
        ("an installed function", math.sqrt, (16,)),
    )
    for name, function, args in functions:
        made = dump_function(function)
        text = base64.b64encode(made.bytes).decode()
        arguments = base64.b64encode(dump_arguments(args, {})[1]).decode()
        yield Sample(name, "function", "function/2", text, made.code, repr(function(*args)), arguments)
    values = (
        ("plain data", {"a": [1, 2.5, None, "é"], "b": (b"x", {1, 2})}),
        ("a date", datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC)),
        ("an instance of a class of the script", Point(3)),
        ("a member of an enum of the script", Level.HIGH),
    )
    for name, value in values:
        yield _sample(name, "value", *dump(value), repr(value))
    yield _sample("a lambda", "callable", *dump(lambda: 5), "5")
    payload_format, payload = dump_arguments((loop, 5), {})
    yield _sample("a function as argument", "arguments", payload_format, payload, repr(loop(5)))
    call = with_function(dump_function(loop).bytes, *dump_arguments((5,), {}))
    yield _sample("a call with its function", "call", *call, repr(loop(5)))
    for name, error in (("an exception of the script", Failed(3, "home")), ("an exception", KeyError("k"))):
        sent = dump_exception(error)
        yield _sample(name, "exception", sent.format or "", sent.payload, repr(error))


def _sample(name: str, kind: str, payload_format: str, payload: bytes, result: str) -> Sample:
    text = base64.b64encode(payload).decode()
    return Sample(name, kind, payload_format, text, code_of(payload_format, payload), result)


def opened(sample: Sample) -> str:
    """The text of what comes of it here; of a refusal, its type and message."""
    payload = base64.b64decode(sample.payload)
    try:
        return repr(_value_of(sample, payload))
    except ComputeError as error:
        return f"{type(error).__name__}: {error}"


def _value_of(sample: Sample, payload: bytes) -> Any:
    if sample.kind == "function":
        args, _ = load("pickle", base64.b64decode(sample.args))
        return load_function(payload)(*args)
    if sample.kind == "call":
        assert sample.payload_format == CALL
        function, payload_format, arguments = apart(payload)
        return load_function(function)(*load(payload_format, arguments)[0])
    if sample.kind == "exception":
        return load_exception(ExceptionPayload("Failed", "3 at home", "", sample.payload_format, payload))
    value = load(sample.payload_format, payload)
    if sample.kind == "arguments":
        (function, *args), _ = value
        return function(*args)
    return value() if sample.kind == "callable" else value


def recorded() -> Iterator[tuple[str, Sample]]:
    """What each Python wrote: its name with each sample."""
    for file in sorted(DIRECTORY.glob("*.json")):
        for each in json.loads(file.read_text()):
            yield file.stem, Sample(**each)


def _record_without_the_path_of_this_machine() -> None:
    """Code carries the name of its file: define all of this again as of a file without a directory."""
    file = Path(__file__)
    os.chdir(file.parent)
    globals()["__file__"] = file.name
    exec(compile(file.read_text(), file.name, "exec"), globals())


def main() -> None:
    """Record or check."""
    if sys.argv[1] == "record":
        if Path(__file__).is_absolute():
            _record_without_the_path_of_this_machine()
            return
        file = DIRECTORY / f"{HERE}.json"
        file.write_text(json.dumps([asdict(each) for each in samples()], indent=1) + "\n")
    else:
        print(json.dumps([opened(sample) for _, sample in recorded()]))


if __name__ == "__main__":
    main()
