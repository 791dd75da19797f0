"""``funcledger token``: users of a deployment with services of its own."""

from typing import Annotated

import typer

from funcledger_compose.main import require

app = typer.Typer(help="Make tokens for users.", no_args_is_help=True)


@app.command()
def create(name: Annotated[str, typer.Argument(help="Whom the token speaks for.")]) -> None:
    """Make a token and print it, once, with the entry that lets the servers know it."""
    require("server", "making tokens")
    from funcledger_web.tokens import USER_PREFIX, digest, new_token

    token = new_token(USER_PREFIX)
    typer.echo(f"For {name}, and nobody else; it is not shown again:\n\n  export FUNCLEDGER_TOKEN={token}\n")
    typer.echo(f"For the servers, in FUNCLEDGER_TOKENS or the tokens file:\n\n  {name}={digest(token)}")
