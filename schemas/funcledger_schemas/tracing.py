"""Spans of tasks for OpenTelemetry: one task is one trace, and its trace's id is the task's id.

So every part can add its span without being told anything, through any number of processes, and whoever
knows a task's id finds its trace. The root span's id is the last half of the task's id. While tracing is off,
which it is unless :func:`enable` was called, ``spans`` is None and OpenTelemetry is not even imported.
"""

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Tracer

#: The part of tasks that is traced: a number from 0 to 1. All processes must be told the same.
SETTING = "FUNCLEDGER_TRACE"

_HALF = (1 << 64) - 1
#: Of a version 7 UUID the last 62 bits are random.
_RANDOM = (1 << 62) - 1
#: While a root span is made: the ids of trace and span that it is to have, for the provider's id generator.
root_ids: ContextVar[tuple[int, int] | None] = ContextVar("root_ids", default=None)


def trace_id_of(task_id: str) -> str:
    """The trace of a task, as 32 hexadecimal digits; empty where the id is none of ours."""
    digits = task_id.replace("-", "")
    return digits if len(digits) == 32 else ""


class Spans:
    """Makes spans of sampled tasks after the fact: each call says from when to when, in ns since 1970."""

    def __init__(self, tracer: "Tracer", ratio: float = 1.0) -> None:
        self._tracer = tracer
        self._most = ratio * (_RANDOM + 1)

    def sampled(self, task_id: str) -> bool:
        """Whether the task is traced: every process says the same."""
        number = _number(task_id)
        return number is not None and number & _RANDOM < self._most

    def headers(self, task_id: str) -> tuple[tuple[str, bytes], ...]:
        """The W3C ``traceparent`` that a record about the task carries."""
        if not self.sampled(task_id):
            return ()
        digits = trace_id_of(task_id)
        return (("traceparent", f"00-{digits}-{digits[16:]}-01".encode()),)

    def root(self, task_id: str, start: int, end: int, **about: Any) -> None:
        """The span that all others of the task are under; made once, by whoever accepts the task."""
        number = _number(task_id)
        if number is None or not self.sampled(task_id):
            return
        from opentelemetry.context import Context

        token = root_ids.set((number, number & _HALF))
        try:
            self._end("task", Context(), task_id, start, end, about)
        finally:
            root_ids.reset(token)

    def hop(self, name: str, task_ids: Iterable[str], start: int, end: int, **about: Any) -> None:
        """What one part did for each of these tasks."""
        links = _caller()
        for task_id in task_ids:
            if self.sampled(task_id):
                self._end(name, self._under(task_id), task_id, start, end, about, links)

    def _under(self, task_id: str) -> "Context":
        from opentelemetry import trace

        number = _number(task_id) or 0
        flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
        root = trace.SpanContext(number, number & _HALF, is_remote=True, trace_flags=flags)
        return trace.set_span_in_context(trace.NonRecordingSpan(root))

    def _end(
        self,
        name: str,
        context: "Context",
        task_id: str,
        start: int,
        end: int,
        about: Mapping[str, Any],
        links: "list[Link] | None" = None,
    ) -> None:
        told = {f"funcledger.{key}": value for key, value in about.items() if value is not None}
        attributes = {"funcledger.task_id": task_id, **told}
        span = self._tracer.start_span(
            f"funcledger.{name}", context, attributes=attributes, links=links, start_time=start
        )
        span.end(max(start, end))


#: What makes spans; None while tracing is off.
spans: Spans | None = None


def enable(made: Spans | None) -> None:
    """Trace with these spans from now on in this process; None turns it off."""
    global spans
    spans = made


def enable_as_told(environ: Mapping[str, str]) -> None:
    """Trace through the application's own tracer provider where the environment asks for it.

    Raises:
        ValueError: the setting is no number from 0 to 1, or OpenTelemetry is not installed.
    """
    if spans is None and (ratio := ratio_of(environ)):
        try:
            from opentelemetry import trace
        except ImportError:
            raise ValueError(
                f"{SETTING} is set, which needs OpenTelemetry: pip install 'funcledger[tracing]'"
            ) from None
        enable(Spans(trace.get_tracer("funcledger"), ratio))


def ratio_of(environ: Mapping[str, str]) -> float:
    """The part of tasks that is to be traced; 0 where nothing is said.

    Raises:
        ValueError: it is no number from 0 to 1.
    """
    text = environ.get(SETTING) or "0"
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise ValueError(
            f"{SETTING} must be a number from 0 (nothing is traced) to 1 (every task), not {text!r}"
        )
    return ratio


def _number(task_id: str) -> int | None:
    try:
        return int(trace_id_of(task_id), 16)
    except ValueError:
        return None


def _caller() -> "list[Link]":
    """A link to the span that the application is in, where it is in one."""
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    return [trace.Link(context)] if context.is_valid else []
