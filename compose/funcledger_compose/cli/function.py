"""``funcledger function``: which functions there are."""

from typing import Annotated, Any

import typer

from funcledger_compose.cli.output import (
    Json,
    plain_errors,
    say,
    short_moment,
    show_fields,
    show_json,
    show_table,
)

app = typer.Typer(help="List and show functions.", no_args_is_help=True)


@app.command("list")
def list_functions(
    mine: Annotated[bool, typer.Option("--mine", help="Only those that you have registered.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    json: Json = False,
) -> None:
    """Show the functions that you may run, newest first."""
    from funcledger import Client

    with plain_errors():
        found = Client().functions.all("owner" if mine else None, limit)
    if json:
        show_json(found)
        return
    columns = ("FUNCTION", "NAME", "OWNER", "REGISTERED")
    show_table(columns, [_row(function) for function in found], "No functions.")


def _row(function: dict[str, Any]) -> tuple[str, ...]:
    at = short_moment(function["registered_at"])
    return function["function_id"], function["name"], function["owner"], at


@app.command()
def show(function_id: Annotated[str, typer.Argument(help="The function's id.")], json: Json = False) -> None:
    """Show all that is known of one function, with its source where that travelled; nothing is opened."""
    from funcledger import Client

    with plain_errors():
        found = Client().get_function(function_id)
    if json:
        show_json(found)
        return
    source = found.pop("source")
    show_fields({name: value for name, value in found.items() if value not in (None, "", False, {})})
    if source:
        say(f"\n{source.rstrip()}")
