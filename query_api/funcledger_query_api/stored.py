"""JSON that stands as text in events and documents, as values again."""

import json
from typing import Any


def parsed(text: str | None) -> dict[str, Any] | None:
    """The object in the text; None when there is none, or an old writer put something else there."""
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
