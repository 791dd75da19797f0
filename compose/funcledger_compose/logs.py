"""A process's own log: lines for people, or JSON for programs, with the ids of task and trace."""

import json
import logging
from datetime import UTC, datetime

from funcledger_schemas.tracing import trace_id_of

_TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class JsonLines(logging.Formatter):
    """One JSON object a line. What a line is about is said by ``extra={"task_id": ...}``."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if task_id := getattr(record, "task_id", None):
            said |= {"task_id": task_id, "trace_id": trace_id_of(task_id)}
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said)


def configure_logging(level: str, form: str = "text") -> None:
    """Log to stderr from ``level`` on, as "text" or "json"."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for chatty in ("uvicorn.error", "httpx2"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
