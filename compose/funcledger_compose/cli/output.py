"""How the command line speaks: tables for people, JSON for programs, one sentence for errors."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from funcledger_compose.main import fail
from funcledger_schemas.sizes import show_size
from funcledger_schemas.texts import visible

#: The option of every command that can also speak to programs.
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
#: Into a pipe, lines are not cut to the width of a terminal that is not there.
console = Console(width=None if sys.stdout.isatty() else 200)


def show_json(value: Any) -> None:
    """Print a value for a program to read."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """Print rows under column heads, or a sentence when there are none."""
    if not rows:
        console.print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        # Ids stand first, and must come whole out of a terminal.
        table.add_column(column, overflow="fold", no_wrap=index == 0)
    for row in rows:
        table.add_row(*("" if cell is None else as_text(cell) for cell in row))
    console.print(table)


def show_fields(fields: Mapping[str, object]) -> None:
    """Print what there is of one thing, each field on a line as people read it; further lines are set in."""
    for name, value in fields.items():
        lines = as_text(str(readable(name, value)).replace("\n", "\n    "))
        console.print(Text.assemble((f"{name}: ", "bold"), lines))


def say(sentence: str) -> None:
    """Print a sentence that may name what others have named."""
    console.print(as_text(sentence))


def as_text(value: object) -> Text:
    """A value as it is shown: what it says is no markup and steers no terminal, whoever wrote it."""
    return Text(visible(str(value)))


def moment(milliseconds: int | None) -> str:
    """An append time as people read it, in their own time zone."""
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


#: Fields of tasks and endpoints that are spans of time in seconds, and amounts of memory in bytes.
_SPANS = frozenset({"run_time", "cpu_time"})
_SIZES = frozenset({"peak_memory", "payload_size", "memory_total", "memory_available"})


def readable(name: str, value: Any) -> Any:
    """The value of a field of this name, as people read it."""
    if name.endswith("_at") or name == "last_seen":
        return moment(value)
    if name in _SPANS:
        return duration(value)
    return f"{show_size(value)} ({value:,} bytes)" if name in _SIZES else value


def duration(seconds: float | None) -> str:
    """A time span as people read it."""
    if seconds is None:
        return ""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if size <= seconds < 100:
            return f"{seconds / size:.3g} {unit}"
    if seconds < 100:
        return f"{seconds * 1e9:.3g} ns"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"


def short_moment(milliseconds: int | None) -> str:
    """The same without the year and the seconds, for tables."""
    return moment(milliseconds)[5:16]


@contextmanager
def plain_errors() -> Iterator[None]:
    """End with one sentence, not a traceback, for every error that is meant for people."""
    from funcledger.errors import ComputeError
    from funcledger_compose.data_dir import DataDirError
    from funcledger_compose.endpoint_dir import EndpointDirError
    from funcledger_compose.settings import SettingsError

    try:
        yield
    except (ComputeError, DataDirError, EndpointDirError, SettingsError) as error:
        fail(visible(str(error)))
