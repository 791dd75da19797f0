"""``funcledger backup`` and ``restore``: a copy of everything a server keeps, and the way back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from funcledger_compose.cli.output import (
    Json,
    console,
    plain_errors,
    show_json,
)
from funcledger_compose.main import require

if TYPE_CHECKING:
    from funcledger_compose.backups.manifest import Manifest


def backup(
    dest: Annotated[Path, typer.Argument(help="The backup's own directory, which does not exist yet.")],
    data_dir: Annotated[
        Path | None, typer.Option(help="The server's data directory, if not the usual one.")
    ] = None,
    json: Json = False,
) -> None:
    """Copy a server's data directory while the server goes on working, and check the copy.

    Everything that was acknowledged before is in it. It holds the token and the endpoints' credentials:
    keep it as private as the directory itself.
    """
    require("server", "a backup")
    from funcledger_compose.backups.making import back_up
    from funcledger_compose.settings import load

    given = {"data_dir": str(data_dir) if data_dir else None}
    with plain_errors():
        source = load(given).data_dir
        made = back_up(source, dest.absolute())
    _show(made, f"Backed up {source} to {dest}", f"funcledger restore {dest} --data-dir NEW", json)


def restore(
    backup: Annotated[Path, typer.Argument(help="A directory that `funcledger backup` made.")],
    data_dir: Annotated[Path, typer.Option(help="The new data directory; it must not exist, or be empty.")],
    json: Json = False,
) -> None:
    """Put a backup back as a new data directory, after reading every byte of it."""
    require("server", "restoring a backup")
    from funcledger_compose.backups.restoring import restore as put_back

    with plain_errors():
        found = put_back(backup, data_dir.absolute())
    _show(found, f"Restored {backup} to {data_dir}", f"funcledger up --data-dir {data_dir}", json)


def _show(manifest: "Manifest", done: str, after: str, json: bool) -> None:
    if json:
        counts = {"records": dict(manifest.records), "values": manifest.values, "bytes": manifest.bytes}
        show_json({"made_at": manifest.made_at, "format": manifest.format, **counts})
        return
    counted = ", ".join(f"{topic} {count:,}" for topic, count in sorted(manifest.records.items()))
    lines = (
        f"{done}, as of {manifest.made_at}.",
        f"  records       {counted or 'none'}",
        f"  large values  {manifest.values:,}",
        f"  bytes         {manifest.bytes:,} in {len(manifest.files)} files, read again and found whole",
        f"Next: {after}",
    )
    for line in lines:
        console.print(line, markup=False, highlight=False)
