"""Documents to msgpack and back, one way for every adapter: equal documents are equal bytes."""

from collections.abc import Callable
from functools import cache

import msgspec

from funcledger_read_models.documents import Document, Model

#: A document as bytes: its fields by name, in the order its class declares them.
pack: Callable[[Document], bytes] = msgspec.msgpack.Encoder().encode


@cache
def unpacker(model: Model) -> Callable[[bytes], Document]:
    """What turns bytes back into documents of this model."""
    return msgspec.msgpack.Decoder(model.type).decode
