"""``funcledger topics``: the topics of a deployment on Kafka."""

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from funcledger_compose.cli.output import (
    Json,
    console,
    plain_errors,
    show_json,
    show_table,
)
from funcledger_compose.main import fail, require

if TYPE_CHECKING:
    from funcledger_compose.settings import Settings

app = typer.Typer(help="Make, look at and grow the topics on Kafka.", no_args_is_help=True)
T = TypeVar("T")

_PARTITIONS = "Partitions of tasks, results, streams and heartbeats."


@app.command()
def create(
    partitions: Annotated[
        int, typer.Option(min=1, max=10_000, envvar="FUNCLEDGER_PARTITIONS", help=_PARTITIONS)
    ] = 64,
) -> None:
    """Make the topics that are missing; those that are there stay as they are."""
    from funcledger_compose.topics import look, make

    settings = _settings()
    with plain_errors():
        states, _ = _run(look(settings))
        present = max(state.partitions for state in states)
        if all(state.partitions for state in states):
            console.print(f"All topics are there, the endpoints' with {present} partitions.")
            return
        _run(make(settings, max(partitions, present)))
        states, _ = _run(look(settings))
    made, copies = max(partitions, present), min(state.replication for state in states)
    console.print(f"Made the topics, the endpoints' with {made} partitions. Copies of each: {copies}.")


@app.command()
def describe(json: Json = False) -> None:
    """Show each topic as the cluster has it, and what of it does not suit funcledger."""
    from funcledger_compose.topics import look

    with plain_errors():
        states, found = _run(look(_settings()))
    if json:
        show_json(
            {
                "topics": [
                    {"name": s.name, "partitions": s.partitions, "replication": s.replication, **s.config}
                    for s in states
                ],
                "findings": [finding.text for finding in found],
            }
        )
    else:
        rows = [
            (
                state.name,
                state.partitions or "missing",
                state.replication,
                state.config.get("min.insync.replicas"),
                state.config.get("retention.ms"),
                state.config.get("max.message.bytes"),
            )
            for state in states
        ]
        show_table(("TOPIC", "PARTITIONS", "COPIES", "MIN ISR", "RETENTION MS", "MAX BYTES"), rows, "")
        for finding in found:
            console.print(("Wrong: " if finding.fatal else "Better: ") + finding.text, markup=False)
    if any(finding.fatal for finding in found):
        raise typer.Exit(1)


@app.command()
def grow(partitions: Annotated[int, typer.Argument(min=1, max=10_000, help=_PARTITIONS)]) -> None:
    """Add partitions, while everything runs: endpoints there are stay where they are."""
    from funcledger_compose.topics import look, make

    settings = _settings()
    with plain_errors():
        states, _ = _run(look(settings))
        present = max(state.partitions for state in states)
        if partitions < present:
            fail(f"there are {present} partitions already, and Kafka cannot take any away")
        _run(make(settings, partitions))
    console.print(f"The endpoints' topics have {partitions} partitions now; new endpoints get the new ones.")


def _settings() -> "Settings":
    require("server", "the topics command")
    require("kafka", "the topics command")
    from funcledger_compose.settings import load

    with plain_errors():
        return load()


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Do it; a cluster that cannot be reached is said in one sentence."""
    from funcledger_event_log.port import LogError

    try:
        return asyncio.run(work)
    except LogError as error:
        fail(f"the Kafka cluster does not do it: {error}. See FUNCLEDGER_KAFKA_* (docs/production.md)")
