"""A record that is on the disk before its writer goes on: one JSON object a line."""

import json
import os
from pathlib import Path
from threading import Lock
from typing import Any


class Journal:
    """An append-only file; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._lock = Lock()

    def write(self, say: str, **what: Any) -> None:
        """Add a line, and return once it is on the disk."""
        line = (json.dumps({"say": say, **what}) + "\n").encode()
        with self._lock:
            os.write(self._file, line)
            os.fsync(self._file)
