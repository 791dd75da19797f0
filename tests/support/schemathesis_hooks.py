"""What Schemathesis cannot know of itself: how a frame goes into a request. Named by SCHEMATHESIS_HOOKS."""

import json
from typing import Any

import schemathesis

from funcledger_schemas.frames import MEDIA_TYPE


@schemathesis.serializer(MEDIA_TYPE)
def frame(_ctx: schemathesis.SerializationContext, value: Any) -> bytes:
    """Bytes as they are, mostly no frame at all; the binary wrapper's too; anything else as JSON."""
    data = getattr(value, "data", value)
    return data if isinstance(data, bytes) else json.dumps(data, default=str).encode()
