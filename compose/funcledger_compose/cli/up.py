"""``funcledger up``: the whole platform on this machine; and ``demo``, which shows it at work."""

from pathlib import Path
from typing import Annotated

import typer

from funcledger_compose.cli.output import plain_errors
from funcledger_compose.main import require


def up(
    data_dir: Annotated[Path | None, typer.Option(help="Where everything is kept that must survive.")] = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on; 0 picks a free one.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Workers of the local endpoint; 0: one for each core.")
    ] = None,
    no_endpoint: Annotated[bool, typer.Option("--no-endpoint", help="Start no local endpoint.")] = False,
) -> None:
    """Start the server and a local endpoint, and keep them running until Ctrl-C."""
    require("server", "the server")
    require("endpoint", "the local endpoint")
    from funcledger_compose.settings import load
    from funcledger_compose.standalone import serve

    given = {"data_dir": str(data_dir) if data_dir else None, "host": host, "port": port, "workers": workers}
    with plain_errors():
        serve(load(given), endpoint=not no_endpoint)


def demo() -> None:
    """Start a server in a directory of its own, run the tour on it, show one task's history, stop."""
    require("server", "the demo")
    from funcledger_compose.demo import run

    run()
