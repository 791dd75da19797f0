"""Amounts of memory as people write them: ``2GB``, ``512 MiB``, or a number of bytes."""

import re

_UNITS = {"": 1, "B": 1} | {
    unit: base**power
    for power, letter in enumerate("KMGT", 1)
    for unit, base in ((f"{letter}B", 1000), (f"{letter}IB", 1024))
}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*\Z")


def parse_size(size: int | str) -> int:
    """The bytes in a size; KB, MB, GB and TB count in thousands, KiB, MiB, GiB and TiB in 1024.

    Raises:
        ValueError: it is none; the message says what one looks like.
    """
    found = _SIZE.match(size if isinstance(size, str) else str(size)) if not isinstance(size, bool) else None
    unit = found and _UNITS.get(found[2].upper())
    if not found or not unit or int(float(found[1]) * unit) < 1:
        raise ValueError(
            f"{size!r} is not a size: write bytes, or a number and a unit, such as '2GB' or '512 MiB'"
        )
    return int(float(found[1]) * unit)


def show_size(size: int) -> str:
    """A size for people, in the largest unit that leaves a number of at least one."""
    for unit in ("TB", "GB", "MB", "KB"):
        if size >= _UNITS[unit]:
            return f"{size / _UNITS[unit]:.3g} {unit}"
    return f"{size} B"
