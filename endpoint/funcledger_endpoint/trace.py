"""What the agent adds to a task's trace, once its outcome is durable."""

from funcledger_endpoint.task import Task
from funcledger_schemas import clock, tracing
from funcledger_schemas.events import Event


def trace(spans: tracing.Spans, task: Task, outcome: Event) -> None:
    """Two spans: the task's time at the endpoint, and its last call in a worker, as that measured it.

    The first begins when the agent took the task up, by its own clock, not by that of the log.
    """
    about = {"outcome": type(outcome).__name__, "attempts": task.attempts}
    spans.hop("endpoint", [task.task_id], task.taken_at, clock.current().time_ns(), **about)
    run_time = getattr(outcome, "run_time", None)
    if run_time is not None:
        end = outcome.occurred_at * 1000
        measured = {name: getattr(outcome, name, None) for name in ("cpu_time", "peak_memory")}
        spans.hop("call", [task.task_id], end - round(run_time * 1e9), end, **measured)
