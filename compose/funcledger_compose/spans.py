"""OpenTelemetry's SDK as servers and agents use it; imported only where something is traced."""

from typing import TextIO

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from funcledger_schemas.tracing import root_ids


class TaskIds(RandomIdGenerator):
    """Random ids, but those of a task's root span."""

    def generate_trace_id(self) -> int:
        """The task's id."""
        wanted = root_ids.get()
        return wanted[0] if wanted else super().generate_trace_id()

    def generate_span_id(self) -> int:
        """The last half of the task's id."""
        wanted = root_ids.get()
        return wanted[1] if wanted else super().generate_span_id()


def provider(service: str, exporter: str, out: TextIO) -> TracerProvider:
    """A provider that exports in batches; ``exporter`` is otlp (as OTEL_EXPORTER_OTLP_* say) or console."""
    made = TracerProvider(resource=Resource.create({"service.name": service}), id_generator=TaskIds())
    made.add_span_processor(BatchSpanProcessor(_exporter(exporter, out)))
    return made


def _exporter(name: str, out: TextIO) -> SpanExporter:
    if name == "console":
        return ConsoleSpanExporter(out=out, formatter=lambda span: str(span.to_json(indent=None)) + "\n")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()
