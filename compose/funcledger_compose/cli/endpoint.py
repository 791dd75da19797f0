"""``funcledger endpoint``: endpoints on this machine, and those the server knows."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from funcledger_compose.cli.output import (
    Json,
    plain_errors,
    say,
    show_fields,
    show_json,
    show_table,
)
from funcledger_compose.endpoint_dir import LOCAL, Direct, EndpointDir, EndpointDirError
from funcledger_compose.main import fail, require
from funcledger_compose.settings import MOST_WORKERS, load

if TYPE_CHECKING:
    from funcledger_event_log.endpoint_port import Identity

app = typer.Typer(help="Set up, start and watch endpoints.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The endpoint's name.")]
Workers = Annotated[
    int,
    typer.Option(min=0, max=MOST_WORKERS, help="How many tasks run at the same time; 0: one for each core."),
]

#: Seconds that an agent has to reach its server before it is told that it has not; and in which one that the
#: server refuses, although it has answered, ends.
_CONTACT, _AT_ONCE = 10.0, 0.3


def root() -> Path:
    """Where this machine's endpoints are configured."""
    return load().data_dir / "endpoints"


@app.command()
def register(
    name: Name, description: Annotated[str | None, typer.Option(help="What it is, for people.")] = None
) -> None:
    """Register an endpoint for another machine and print its credential, once."""
    from funcledger import Client

    with plain_errors():
        EndpointDir(root(), name)  # what is printed is to be typed there, and names a directory
        made = Client().register_endpoint(name, description=description)
    typer.echo(f"Endpoint {name} is registered as {made['endpoint_id']}. On its machine:\n")
    typer.echo(f"  export FUNCLEDGER_CREDENTIAL={made['credential']}")
    typer.echo(f"  funcledger endpoint configure {quote(name)} --url <address of the server> --workers 4")
    typer.echo(f"  funcledger endpoint start {quote(name)}\n\nThe credential is not shown again.")


@app.command()
def configure(
    name: Name,
    workers: Workers = 0,
    url: Annotated[
        str | None, typer.Option(help="The server's address; default: the one Client() finds.")
    ] = None,
    credential: Annotated[
        str | None,
        typer.Option(
            envvar="FUNCLEDGER_CREDENTIAL",
            help="What `register` printed; registers the endpoint if not given.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is configured.")] = False,
    direct: Annotated[
        bool,
        typer.Option(
            "--direct", help="Read the log on Kafka itself, not through the gateway: for trusted machines."
        ),
    ] = False,
) -> None:
    """Make an endpoint on this machine: a commented config.toml and its credential."""
    require("endpoint", "an endpoint")
    if direct:
        require("kafka", "an endpoint that reads the log itself")
    from funcledger import Client
    from funcledger.settings import find_address

    with plain_errors():
        where = EndpointDir(root(), name)
        if where.configured and not force:
            raise EndpointDirError(f"{where.config} exists; edit it, or overwrite it with --force.")
        address = find_address(url, credential) or LOCAL
        secret = credential or Client(url=url).register_endpoint(name)["credential"]
        known = _identity(where, address, secret)
        if known.name != name:
            raise EndpointDirError(
                f"this credential is that of the endpoint {known.name!r}, not of {name!r}. Configure it by "
                f"its own name: funcledger endpoint configure {quote(known.name)}"
            )
        straight = Direct(name=known.name, owner=known.owner, partition=known.partition) if direct else None
        where.configure(known.endpoint_id, address, secret, workers or os.cpu_count() or 1, straight)
    typer.echo(
        f"Configured {name}. Settings: {where.config}\nStart it: funcledger endpoint start {quote(name)}"
    )


def _identity(where: EndpointDir, url: str, credential: str) -> "Identity":
    """The endpoint this credential belongs to, asked of the server: so a typing error shows now."""
    import asyncio

    from funcledger_compose.agent_process import identify

    return asyncio.run(identify(where, url, credential))


@app.command()
def start(
    name: Name,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay and show the log.")] = False,
) -> None:
    """Start an endpoint's agent; it goes on in the background unless told otherwise."""
    require("endpoint", "an endpoint")
    with plain_errors():
        where = EndpointDir(root(), name)
        where.settings()
        if (pid := where.pid()) is not None:
            raise EndpointDirError(f"endpoint {name} is already running here (process {pid}).")
    if foreground:
        run(name)
        return
    process = spawn(where)
    deadline = time.monotonic() + 15
    while where.pid() != process.pid and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    reached, why = _contact(process, where)
    if where.pid() != process.pid:
        fail(f"endpoint {name} did not start. Its log says why: {where.log_file}")
    say(f"Started {name} (process {process.pid}). Log: {where.log_file}")
    url = where.settings().url
    server = "this machine's server" if url == LOCAL else f"the server at {url}"
    if reached:
        say(f"It has contact with {server}.")
    else:
        because = why or f"no answer within {_CONTACT:.0f} s"
        say(
            f"It has no contact with {server} yet: {because}. It goes on trying, and runs nothing until then."
        )


def _contact(process: "subprocess.Popen[bytes]", where: EndpointDir) -> tuple[bool, str]:
    """Whether an agent reaches its server soon, and why it does not; less if it ends before that."""
    deadline = time.monotonic() + _CONTACT
    reached, why = where.contact(process.pid)
    while not reached and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
        reached, why = where.contact(process.pid)
    if reached:  # an agent that the server does not serve ends as soon as it has been told so
        with suppress(subprocess.TimeoutExpired):
            process.wait(_AT_ONCE)
    return reached, why


def spawn(where: EndpointDir) -> "subprocess.Popen[bytes]":
    """The agent of an endpoint as a process of its own session, writing to the endpoint's log."""
    command = [sys.executable, "-m", "funcledger_compose", "endpoint", "run", where.name]
    environment = os.environ | {"FUNCLEDGER_DATA_DIR": str(where.path.parent.parent)}
    with where.open_log() as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )


@app.command(hidden=True)
def run(name: Name, attached: Annotated[bool, typer.Option("--attached", hidden=True)] = False) -> None:
    """Run an endpoint's agent in this process until it is told to stop."""
    require("endpoint", "an endpoint")
    from funcledger_compose.agent_process import run_agent

    with plain_errors():
        code = run_agent(EndpointDir(root(), name), attached=attached)
    raise typer.Exit(code)


@app.command()
def stop(name: Name) -> None:
    """Stop an endpoint's agent: running tasks may finish, queued ones wait for its return."""
    with plain_errors():
        where = EndpointDir(root(), name)
        patience = where.settings().drain + 15
        if where.pid() is None:
            say(f"{name} is not running here.")
            return
        if not where.stop(patience):
            fail(
                f"{name} (process {where.pid()}) did not stop within {patience:.0f} s. Log: {where.log_file}"
            )
    say(f"Stopped {name}.")


@app.command()
def restart(name: Name) -> None:
    """Stop an endpoint's agent and start it again, with its settings read anew."""
    stop(name)
    start(name)


@app.command("list")
def list_endpoints(json: Json = False) -> None:
    """Show the endpoints the server knows, and which are configured here."""
    with plain_errors():
        here = {where.settings().endpoint_id: where for where in EndpointDir.all(root())}
        from funcledger import Client

        known = [_row(entry, here.get(entry["endpoint_id"])) for entry in Client().get_endpoints()]
    if json:
        show_json(known)
        return
    rows = [
        (e["name"], e["status"], e["endpoint_id"], e["workers"], _waiting(e), "yes" if e["here"] else "")
        for e in known
    ]
    show_table(("NAME", "STATUS", "ENDPOINT", "WORKERS", "WAITING", "HERE"), rows, "No endpoints.")


def _waiting(entry: dict[str, Any]) -> int | None:
    """Tasks that wait there: while it is online those that its agent has, else one's own."""
    waiting: int | None = entry["queued"] if entry["status"] == "online" else entry.get("waiting")
    return waiting


def _row(entry: dict[str, Any], where: EndpointDir | None) -> dict[str, Any]:
    return {**entry, "here": where is not None, "process": where.pid() if where else None}


@app.command()
def status(name: Name, json: Json = False) -> None:
    """Show what the server knows of one endpoint (name or id)."""
    from funcledger import Client

    with plain_errors():
        found = Client().get_endpoint_metadata(name)
    if json:
        show_json(found)
        return
    show_fields({field: value for field, value in found.items() if value is not None})


@app.command()
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete an endpoint on the server, and its directory on this machine."""
    from funcledger import Client

    if not yes:
        typer.confirm(f"Delete endpoint {name}? Nothing more can be sent to it.", abort=True)
    with plain_errors():
        where = EndpointDir(root(), name)
        if where.pid() is not None:
            raise EndpointDirError(
                f"{name} is running here; stop it first: funcledger endpoint stop {quote(name)}"
            )
        Client().delete_endpoint(name)
        if where.path.exists():
            where.remove()
    say(f"Deleted {name}.")
