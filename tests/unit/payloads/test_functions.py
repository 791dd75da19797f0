"""Functions travel by value and by source."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.support.deadlines import scaled

from funcledger_payloads import (
    DeserializationError,
    SerializationError,
    VersionMismatch,
    dump_function,
    dump_source,
    load_function,
)
from funcledger_payloads.container import seal
from funcledger_payloads.functions import read_head

FACTOR = 3


def helper(x: int) -> int:
    return x * FACTOR


def uses_globals(x: int, *, plus: int = 1) -> int:
    """Triple and add."""
    return helper(x) + plus


def factorial(n: int) -> int:
    return 1 if n < 2 else n * factorial(n - 1)


def stands_alone(x: float) -> float:
    import math

    return math.sqrt(x)


def uses_a_module(text: str) -> object:
    return json.loads(text)


def elsewhere(directory: Path, code: str) -> str:
    """What another process prints that has this test's module nowhere."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        cwd=directory, capture_output=True, text=True, timeout=scaled(30),
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout


def of_another_python(payload: bytes, version: str = "3.8") -> bytes:
    """The payload as another Python would have made it: its bytes are of no use here."""
    head, _ = read_head(payload)
    code = f"cpython-{version} cloudpickle-3.1.0"
    return seal(head | {"python": f"{version}.2", "code": code}, b"bytecode of another version")


def test_a_function_carries_its_globals_by_value_to_a_process_without_its_module(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(dump_function(uses_globals).bytes)
    (tmp_path / "g").write_bytes(dump_function(factorial).bytes)
    code = """
        import sys
        from pathlib import Path
        from funcledger_payloads import load_function
        print(load_function(Path("f").read_bytes())(5, plus=2), load_function(Path("g").read_bytes())(5))
        print([name for name in sys.modules if name.startswith("tests")])
    """
    assert elsewhere(tmp_path, code).split("\n")[:2] == ["17 120", "[]"]


def test_a_function_of_a_script_that_uses_its_globals_and_classes_runs_elsewhere(tmp_path: Path) -> None:
    """Plain dill.dumps of a __main__ function that uses a global fails elsewhere with NameError."""
    (tmp_path / "script.py").write_text(
        textwrap.dedent("""
        from pathlib import Path
        from funcledger_payloads import dump_function
        K = 7
        class Point:
            def __init__(self, x): self.x = x * K
        def f(x): return Point(x).x + K
        Path("f").write_bytes(dump_function(f).bytes)
        """)
    )
    subprocess.run([sys.executable, "script.py"], cwd=tmp_path, check=True, timeout=scaled(30))
    code = "from pathlib import Path; import funcledger_payloads as p; "
    code += 'print(p.load_function(Path("f").read_bytes())(2))'
    assert elsewhere(tmp_path, code).strip() == "21"


def test_a_repl_has_no_source_and_needs_none(tmp_path: Path) -> None:
    code = """
        from funcledger_payloads import dump_function, load_function
        exec("def f(x): return x + 1")
        sent = dump_function(f)
        print(sent.source, load_function(sent.bytes)(1))
    """
    # From Python 3.13 on the prompt keeps what was typed, and ``-c`` what it was given.
    assert elsewhere(tmp_path, code).split()[-1] == "2"
    assert sys.version_info >= (3, 13) or elsewhere(tmp_path, code).split() == ["None", "2"]


def test_the_payload_says_what_it_is_and_its_hash_is_of_all_of_it() -> None:
    import hashlib

    sent = dump_function(uses_globals)
    head, body = read_head(sent.bytes)
    assert (head["name"], head["python"]) == ("uses_globals", sent.python)
    assert head["size"] == len(body)
    assert sent.source is not None
    assert sent.source.startswith("def uses_globals")
    assert sent.sha256 == hashlib.sha256(sent.bytes).hexdigest()
    assert dump_function(uses_globals).sha256 == sent.sha256


@pytest.mark.parametrize("function", [stands_alone, uses_a_module])
def test_under_another_minor_version_the_source_runs_where_it_stands_alone(function: object) -> None:
    loaded = load_function(of_another_python(dump_function(function).bytes))  # type: ignore[arg-type]
    assert loaded("16" if function is uses_a_module else 16) in (4.0, 16)


def test_under_another_minor_version_what_is_tied_to_its_place_is_refused_with_both_versions() -> None:
    number = 2
    this = ".".join(map(str, sys.version_info[:2]))
    for tied in (uses_globals, lambda x: x, lambda: number):
        with pytest.raises(VersionMismatch, match=rf"Python 3\.8 .*Python {this}: run both") as refused:
            load_function(of_another_python(dump_function(tied).bytes))
        assert "does not stand alone" in str(refused.value)


def test_source_alone_is_enough() -> None:
    sent = dump_source("import math\ndef area(r):\n    return round(math.pi * r * r)\n", "area")
    assert load_function(sent.bytes)(2) == 13
    with pytest.raises(SerializationError, match="area does not compile"):
        dump_source("def area(", "area")
    with pytest.raises(DeserializationError, match="perimeter"):
        load_function(dump_source("x = 1", "perimeter").bytes)


def test_a_function_that_cannot_be_carried_is_named_with_what_it_uses() -> None:
    generator = (number for number in range(3))

    def consumes() -> int:
        return next(generator)

    with pytest.raises(
        SerializationError, match=r"the function consumes .* 'generator' .* list of its items"
    ):
        dump_function(consumes)
    with pytest.raises(SerializationError, match="cannot be called"):
        dump_function(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "junk", [b"", b"\x00", b"\xff\xff\xff\xff{}", b"\x00\x00\x00\x02[]", b"\x00\x00\x00\x02{}"]
)
def test_bytes_that_are_no_function_are_refused(junk: bytes) -> None:
    with pytest.raises(DeserializationError, match="not a function"):
        load_function(junk)
