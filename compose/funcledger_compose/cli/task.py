"""``funcledger task``: what became of one's tasks."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from funcledger_compose.cli.output import (
    Json,
    duration,
    moment,
    plain_errors,
    say,
    short_moment,
    show_fields,
    show_json,
    show_table,
)
from funcledger_schemas.sizes import show_size

app = typer.Typer(help="List, show, cancel tasks, and read their history.", no_args_is_help=True)

TaskId = Annotated[str, typer.Argument(help="The task's id.")]


@app.command("list")
def list_tasks(
    status: Annotated[str | None, typer.Option(help="Only tasks in this state.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Only tasks of this endpoint (name or id).")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    json: Json = False,
) -> None:
    """Show the newest tasks first."""
    from funcledger import Client

    with plain_errors():
        found = Client().get_tasks(status=status, endpoint_id=endpoint, limit=limit)
    if json:
        show_json(found)
        return
    columns = ("TASK", "STATUS", "FUNCTION", "SUBMITTED", "RAN")
    show_table(columns, [_row(task) for task in found], "No tasks.")
    if failed := [(task["task_id"], why) for task in found if (why := _failure(task))]:
        say("")
        show_table(("FAILED", "WHY"), failed, "")


def _row(task: dict[str, Any]) -> tuple[str, ...]:
    name, at = task["function_name"] or "", short_moment(task["submitted_at"])
    return task["task_id"], task["status"], name, at, duration(task["run_time"])


def _failure(task: Mapping[str, Any]) -> str:
    """Why it failed, in one line."""
    if task["status"] != "failed":
        return ""
    # What the function raised is told by its type, all else by the kind of failure.
    what = task.get("error_type") if task.get("kind") == "Exception" else task.get("kind")
    return ": ".join(filter(None, (what, next(iter((task.get("message") or "").splitlines()), ""))))


@app.command()
def show(task_id: TaskId, json: Json = False) -> None:
    """Show all that is known of one task, but for its value, which is not opened."""
    from funcledger import Client

    with plain_errors():
        found = Client().results.status(task_id)
    if json:
        show_json(found)
        return
    traceback = found.pop("traceback", None)
    show_fields({name: value for name, value in found.items() if value not in (None, "", False)})
    if traceback:
        say(f"\n{traceback.rstrip()}")


@app.command()
def cancel(task_id: TaskId) -> None:
    """Ask for a task to be cancelled, queued or running."""
    from funcledger import Client

    with plain_errors():
        Client().cancel(task_id)
    say(f"Asked to cancel {task_id}; it ends cancelled unless it ended otherwise first.")


@app.command()
def history(task_id: TaskId, json: Json = False) -> None:
    """Show every event of a task, from the log, with positions."""
    from funcledger import Client

    with plain_errors():
        events = Client().get_task_history(task_id)
    if json:
        show_json(events)
        return
    show_history(events)


def show_history(events: list[dict[str, Any]]) -> None:
    """Print a task's history as a table."""
    rows = []
    for entry in events:
        position = f"{entry['topic']}/{entry['partition']}@{entry['offset']}"
        name = entry["type"] + (" (void)" if entry.get("void") else "")
        detail = _detail(entry.get("event") or {})
        if ahead := entry.get("clock_ahead"):
            detail = f"{detail}, from a clock {ahead:g} s ahead of the log's".removeprefix(", ")
        rows.append((moment(entry["timestamp"]), position, name, detail))
    show_table(("APPENDED", "POSITION", "EVENT", "DETAIL"), rows, "No events.")


def _detail(event: dict[str, Any]) -> str:
    parts = [
        f"{name} {event[name]}"
        for name in ("attempt", "worker", "kind", "message", "reason")
        if event.get(name)
    ]
    if event.get("run_time") is not None:
        parts.append(f"ran {duration(event['run_time'])}")
    if event.get("payload_size"):
        parts.append(show_size(event["payload_size"]))
    return ", ".join(parts)
