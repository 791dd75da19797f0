"""``funcledger serve``: the services, each as a process of its own."""

from typing import Annotated

import typer

from funcledger_compose.cli.output import plain_errors
from funcledger_compose.main import require

app = typer.Typer(
    help="Run one service on Kafka and MongoDB; settings come from the environment (docs/production.md).",
    no_args_is_help=True,
)
Host = Annotated[str | None, typer.Option(help="The address to listen on.")]
Port = Annotated[int | None, typer.Option(help="The port to listen on; 0 picks a free one.")]


@app.command("command-api")
def command_api(host: Host = None, port: Port = None) -> None:
    """Register, submit, cancel: appends to the log and needs nothing else."""
    _serve("command-api", host, port)


@app.command("query-api")
def query_api(host: Host = None, port: Port = None) -> None:
    """Status, results and streams: reads the read models, and follows the log for what is new."""
    _serve("query-api", host, port)


@app.command()
def gateway(host: Host = None, port: Port = None) -> None:
    """The endpoints' door to the log."""
    _serve("gateway", host, port)


@app.command()
def projectors(host: Host = None, port: Port = None) -> None:
    """Fold the log into the read models; several divide the partitions among themselves."""
    _serve("projectors", host, port)


def _serve(role: str, host: str | None, port: int | None) -> None:
    require("server", f"the {role}")
    from funcledger_compose.serve import serve
    from funcledger_compose.settings import load

    with plain_errors():
        serve(load({"host": host, "port": port}), role)
