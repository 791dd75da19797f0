"""The functions that write and read one event class's Avro, generated once of its schema.

They are for the well-formed events that a busy log is full of, and cover schemas whose fields are
primitive, or null or primitive; of other unions with null they cover null alone. Where a value or a byte
is not as they expect, they raise something, and :mod:`codec` asks fastavro, the reference. So the one rule
is: what they do accept, fastavro reads and writes the same. Their source is in ``linecache``, so that
tracebacks and debuggers show it.
"""

import linecache
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from funcledger_schemas.events import Event
from funcledger_schemas.plan_tools import TOOLS


class Plan(NamedTuple):
    """How to write an event of one class, and how to read it."""

    #: From an event to its value; raises anything for fields it cannot write.
    write: Callable[[Event], bytes]
    #: From a value, prefix and body, to the event; raises anything for bytes it does not expect.
    read: Callable[[bytes], Event]


def plan_of(kind: type[Event], fields: Sequence[Mapping[str, Any]], prefix: bytes) -> Plan | None:
    """The plan for a class and the fields of its schema; None where these hold more than plans cover.

    Fields of the class that an older schema has not are its last ones, and get their defaults.
    ``prefix`` is what stands before the body: five bytes.
    """
    typed = {field["name"]: _type(field["type"]) for field in fields}
    known = kind.__struct_fields__[: len(typed)]
    if set(typed) != set(known) or None in typed.values():
        return None
    writing, runs = _source_of_write(typed)
    # Of the event before, per run what it said and its bytes.
    names = TOOLS | {"_kind": kind, "_prefix": prefix, "_memo": [((), b"")] * runs}
    write = _defined(f"write_{kind.__name__}", writing, names)
    # Of the event before, per run what it said and its bytes; one object, so that threads see it whole.
    names = names | {"_memo": [()]}
    reading = _source_of_read(typed, known)
    read = _defined(f"read_{kind.__name__}", reading, names)
    return Plan(write, read)


def _defined(name: str, body: str, names: dict[str, Any]) -> Callable[[Any], Any]:
    """The function of one argument, ``_it``, that has this body."""
    source = f"def {name}(_it):\n" + "".join(f"    {line}\n" for line in body.splitlines())
    file = f"<{name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec"), names)  # noqa: S102 - made of nothing but our own schemas
    function: Callable[[Any], Any] = names[name]
    return function


#: Per type, what writes the field {0} as pieces of the value; strings are bytes by then.
_WRITE = {
    "string": "_short[len({0})], {0}",
    "bytes": "_long(len({0})), {0}",
    "boolean": r"b'\1' if {0} else b'\0'",
    "int": "_short[{0}] if 0 <= {0} < _shorts else _long({0})",
    "long": "_short[{0}] if 0 <= {0} < _shorts else _long({0})",
    "instant": "_instant({0})",
    "double": "_double({0})",
    "?string": r"b'\0' if {0} is None else _some_text({0})",
    "?int": r"b'\0' if {0} is None else b'\2' + _long({0})",
    "?long": r"b'\0' if {0} is None else _some_long({0})",
    "?same": r"b'\0' if {0} is None else b'\2' + _same_long({0})",
    "?double": r"b'\0' if {0} is None else b'\2' + _double({0})",
    "?boolean": r"b'\0' if {0} is None else _truths[{0}] if {0}.__class__ is bool else _irregular()",
    "?other": r"b'\0' if {0} is None else _irregular()",
}
_VARINT = """
_n = _it[_at]
_at += 1
if _n > 127:
    _n += (_it[_at] << 7) - 128
    _at += 1
    if _n > 16383:
        _n += (_it[_at] << 14) - 16384
        _at += 1
        if _n > 2097151:
            _n, _at = _longer(_it, _at - 3)
"""
_NUMBER = _VARINT + "{0} = (_n >> 1) ^ -(_n & 1)\n"
#: Of eight bytes, as they take from 1978 to 3111, the last five are the same for seconds.
_INSTANT = """
_low, _mid, _high, _last = _eight_bytes(_it, _at)
_n = _read_seconds(_last)
if _low & _mid & _high & 128 and _n >= 0:
    _n |= _low & 127 | (_mid & 127) << 7 | (_high & 127) << 14
    _at += 8
else:
    _n, _at = _longer(_it, _at)
{0} = (_n >> 1) ^ -(_n & 1)
"""
#: A negative length shows in the end, in ``_odd``; one that is too large, in ``_at``.
_SLICE = _VARINT + "_odd |= _n\n_from = _at\n_at += _n >> 1\n"
#: Per type, what reads the field {0} at ``_at`` and moves that on.
_READ = {
    "string": _SLICE + "{0} = _it[_from:_at].decode()",
    "bytes": _SLICE + "{0} = _it[_from:_at]",
    "boolean": "{0} = _booleans[_it[_at]]\n_at += 1",
    "int": _NUMBER,
    "long": _NUMBER,
    "instant": _INSTANT,
    "double": "({0},) = _read_double(_it, _at)\n_at += 8",
    "other": "{0} = _irregular()",
}
#: What one event says as the one before. Fields of these that stand together are a run: its bytes are looked
#: at as a whole, and where they are those of the event before, so is what they say.
_REPEATED = frozenset({
    "actor", "owner", "endpoint_id", "instance_id", "batch_id", "batch_size", "function_id", "function_hash",
    "walltime", "max_attempts", "expires_in", "resource_specification", "endpoint_config", "payload_format",
    "worker", "kind", "epoch", "attempt", "by_token", "accepted_formats", "labels", "priority",
    "dependencies", "alternatives", "rerouted_from", "rerun_of", "reuse", "payload_code", "payload_object",
    "host", "block", "job", "environment_sha256", "reused_from", "caused_by", "rerouted_to", "output",
})  # fmt: skip
#: Types of which equal values are written alike: of numbers, 1 and True are equal too.
_ALIKE = frozenset({"string", "?string", "?other"})
#: Where they are not, one text in memory does for all that say the same.
_SHARED = _SLICE + "{0} = _shared(_it[_from:_at]) if _n < 160 else _it[_from:_at].decode()"
_OPTIONAL = """
_n = _it[_at]
_at += 1
if _n == 0:
    {0} = None
elif _n != 2:
    raise _Irregular
else:
"""


def _type(type_: Any) -> str | None:
    """The field's type as the tables above name it, ``?`` for null or the rest; None when it is not there."""
    if type_ == {"type": "long", "logicalType": "timestamp-micros"}:
        return "instant"
    if isinstance(type_, list) and len(type_) == 2 and type_[0] == "null":
        type_ = f"?{type_[1]}" if f"?{type_[1]}" in _WRITE else "?other"
    return type_ if isinstance(type_, str) and type_ in _WRITE else None


def _runs(names: Iterable[str]) -> Iterator[tuple[bool, list[str]]]:
    """The names in order, in groups: a run of repeated ones, or others that stand together."""
    for repeated, group in groupby(names, _REPEATED.__contains__):
        yield repeated, list(group)


def _source_of_write(typed: Mapping[str, str | None]) -> tuple[str, int]:
    """The source, and how many runs it remembers."""
    lines: list[str] = []
    pieces: list[str] = []
    runs = 0
    for repeated, group in groupby(typed, lambda name: name in _REPEATED and typed[name] in _ALIKE):
        names = list(group)
        texts = [name for name in names if typed[name] == "string"]
        written = [_WRITE[_written(name, str(typed[name]))].format(name) + "," for name in names]
        if repeated and len(names) > 1:
            encoded = [f"{name} = {name}.encode()" for name in texts]
            lines += _run_to_write(runs, names, encoded, written)
            pieces.append(f"_bytes{runs},")
            runs += 1
        else:
            lines += [f"{name} = _it.{name}{'.encode()' if name in texts else ''}" for name in names]
            pieces += written
    pieces = [f"    {piece}" for piece in pieces]
    return "\n".join([*lines, "return _join((", "    _prefix,", *pieces, "))"]), runs


def _written(name: str, type_: str) -> str:
    """The key of ``_WRITE``: numbers that many events have in common are looked up."""
    return "?same" if type_ == "?long" and name in _REPEATED else type_


def _run_to_write(
    number: int, names: Sequence[str], encoded: Sequence[str], written: Sequence[str]
) -> Iterator[str]:
    yield f"# {', '.join(names)}, as in the event before"
    yield f"_run{number} = ({', '.join(f'_it.{name}' for name in names)})"
    yield f"_before, _bytes{number} = _memo[{number}]"
    yield f"if _run{number} != _before:"
    yield f"    {', '.join(names)} = _run{number}"
    yield from (f"    {line}" for line in encoded)
    yield f"    _bytes{number} = _join(({' '.join(written)}))"
    yield f"    _memo[{number}] = (_run{number}, _bytes{number})"


def _source_of_read(typed: Mapping[str, str | None], order: Sequence[str]) -> str:
    lines = ["_at, _odd, _same, _runs = len(_prefix), 0, True, _memo[0]"]
    made: list[str] = []
    for repeated, names in _runs(typed):
        reading = [line for name in names for line in _read_one(name, str(typed[name]), shared=repeated)]
        if repeated:
            lines += _run_to_read(len(made), names, reading)
            made.append(f"_run{len(made)}")
        else:
            lines += reading
    lines += ["if _at != len(_it) or _odd & 1:", "    raise _Irregular"]
    if made:
        lines += ["if not _same:", f"    _memo[0] = ({', '.join(made)},)"]
    return "\n".join([*lines, f"return _kind({', '.join(order)})"])


def _run_to_read(number: int, names: Sequence[str], reading: Sequence[str]) -> Iterator[str]:
    yield f"# {', '.join(names)}, as in the event before"
    yield f"_run{number} = _runs[{number}] if _runs else _nothing"
    yield f"if _it.startswith(_run{number}[1], _at):"
    yield f"    {', '.join(names)}, = _run{number}[0]"
    yield f"    _at += len(_run{number}[1])"
    yield "else:"
    yield f"    _same, _start{number} = False, _at"
    yield from (f"    {line}" for line in reading)
    yield f"    _run{number} = (({', '.join(names)},), _it[_start{number}:_at])"


def _read_one(name: str, type_: str, *, shared: bool) -> list[str]:
    plain = type_.removeprefix("?")
    template = _SHARED if plain == "string" and shared else _READ[plain]
    reading = template.strip().format(name).splitlines()
    if plain != type_:
        reading = [*_OPTIONAL.strip().format(name).splitlines(), *(f"    {line}" for line in reading)]
    return [f"# {name}: {type_}", *reading]
