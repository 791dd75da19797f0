"""JSON that stands as text in events and documents, as values again."""

import json
from typing import Any

from funcledger_schemas.texts import mended


def parsed(text: str | None) -> dict[str, Any] | None:
    """The object in the text; None when there is none, or an old writer put something else there.

    What such a writer took in and nobody can send on, half a surrogate pair, is replaced: one text that is
    wrong must not take a whole list with it.
    """
    if text is None:
        return None
    try:
        value = json.loads(text)
        # Text is Unicode, so only an escape can stand for what is not.
        value = mended(value) if "\\ud" in text.lower() else value
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
