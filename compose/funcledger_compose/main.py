"""The entry of the ``funcledger`` command: says what to install when a part is missing."""

import importlib.util
import sys
from typing import NoReturn

#: What must be importable for an extra to be there.
PROBES = {
    "cli": ("msgspec", "rich", "typer"),
    "server": ("fastapi", "uvicorn", "fastavro", "msgspec", "prometheus_client", "pydantic"),
    "endpoint": ("fastavro", "httptools", "msgspec", "psutil"),
    "kafka": ("confluent_kafka",),
    "mongo": ("motor", "pymongo"),
    "tracing": ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"),
}


def missing(extra: str) -> list[str]:
    """The modules of an extra that are not installed."""
    return [name for name in PROBES[extra] if not _there(name)]


def _there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that it would be in
        return False


def require(extra: str, what: str) -> None:
    """End with a sentence and the install command when an extra is not there."""
    if gone := missing(extra):
        fail(
            f"{what} needs {', '.join(gone)}, which this installation does not have.\n"
            f"Install with: pip install 'funcledger[{extra}]'"
        )


def fail(sentence: str, code: int = 1) -> NoReturn:
    """Print a sentence for people on stderr and end."""
    sys.stderr.write(f"funcledger: {sentence}\n")
    raise SystemExit(code)


def main() -> None:
    """Run the command line."""
    require("cli", "the funcledger command")
    from funcledger_compose.cli.app import app

    app()
