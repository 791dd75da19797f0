"""The ``funcledger`` command: one line of commands for server, endpoints, functions and tasks."""

from typing import Annotated

import typer

from funcledger_compose.cli import backup, endpoint, function, migrate, serve, task, token, topics, up

app = typer.Typer(
    name="funcledger",
    help="Run Python functions elsewhere, and keep the record.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("up")(up.up)
app.command("demo", hidden=True)(up.demo)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("migrate")(migrate.migrate)
app.add_typer(endpoint.app, name="endpoint")
app.add_typer(function.app, name="function")
app.add_typer(task.app, name="task")
app.add_typer(serve.app, name="serve")
app.add_typer(topics.app, name="topics")
app.add_typer(token.app, name="token")


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"funcledger {version('funcledger')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Run Python functions elsewhere, and keep the record."""
