"""Where a server's or an agent's spans go: over OTLP to a collector, or as lines on stderr."""

import os
import sys
from collections.abc import Mapping

from funcledger_compose.main import require
from funcledger_compose.settings import SettingsError
from funcledger_schemas import tracing

#: OpenTelemetry's own setting, of which two values are known here.
EXPORTER = "OTEL_TRACES_EXPORTER"


def configure(service: str, environ: Mapping[str, str] = os.environ) -> None:
    """Trace as the environment says; nothing is imported where it says nothing.

    Raises:
        SettingsError: what it says cannot be.
    """
    try:
        ratio = tracing.ratio_of(environ)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    if not ratio:
        return
    require("tracing", "tracing")
    from funcledger_compose.spans import provider

    exporter = environ.get(EXPORTER) or "otlp"
    if exporter not in ("otlp", "console"):
        raise SettingsError(f"{EXPORTER} must be otlp or console, not {exporter!r}")
    made = provider(f"funcledger-{service}", exporter, sys.stderr)
    tracing.enable(tracing.Spans(made.get_tracer("funcledger"), ratio))
