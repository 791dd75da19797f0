"""``funcledger migrate``: from one machine to a cluster, with everything that ever happened."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from funcledger_compose.cli.output import console, plain_errors, show_json
from funcledger_compose.main import require

_PARTITIONS = "Partitions of tasks, results, streams and heartbeats, where the topics are not there yet."


def migrate(
    data_dir: Annotated[
        Path | None, typer.Option(help="The data directory to move, if not the usual one.")
    ] = None,
    partitions: Annotated[
        int, typer.Option(min=1, max=10_000, envvar="FUNCLEDGER_PARTITIONS", help=_PARTITIONS)
    ] = 64,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Move a data directory into Kafka and MongoDB, with every history, result and position.

    The server must be stopped. Where to is said by FUNCLEDGER_KAFKA_BOOTSTRAP, FUNCLEDGER_MONGO_URI and
    their kin (docs/production.md); topics and database must be empty or missing. Endpoints keep their
    credentials, users their token.
    """
    require("server", "a migration")
    from funcledger_compose.migration import migrate as move
    from funcledger_compose.settings import load
    from funcledger_compose.standalone import OWNER

    with plain_errors():
        settings = load({"data_dir": str(data_dir) if data_dir else None})
        say = (lambda _text: None) if json else (lambda text: console.print(text, markup=False))
        moved = asyncio.run(move(settings, partitions, OWNER, say))
    if json:
        partitions_moved = [
            {"topic": where.topic, "partition": where.partition, "records": records, "sha256": sha256}
            for where, records, sha256 in moved.partitions
        ]
        show_json(
            {
                "partitions": partitions_moved,
                "consumers": moved.consumers,
                "documents": dict(moved.documents),
                "tokens": moved.tokens,
            }
        )
        return
    records = sum(each.records for each in moved.partitions)
    lines = (
        f"Moved {records:,} records of {len(moved.partitions)} partitions, positions of {moved.consumers} "
        f"endpoints, and {sum(moved.documents.values()):,} documents; all of it compared.",
        "Next: start the services on them (docs/production.md), with the token that clients have here:",
        f"  FUNCLEDGER_TOKENS={moved.tokens}",
        "and tell the new address to endpoints (`url` in each one's config.toml) and clients "
        "(FUNCLEDGER_URL, with their token in FUNCLEDGER_TOKEN).",
    )
    for line in lines:
        console.print(line, markup=False, highlight=False)
