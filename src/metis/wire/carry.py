"""How a signature of one shape rides through another: wrapped in the client's signature field, and back again.

Clients replay thinking signatures byte for byte without reading them, so that field is the one place
where another shape's proof (and what it needs beside it) survives a conversation. Only the wrapping
lives here; which fields are used is each shape's own business.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from metis.ir.content import Thinking
from metis.wire.codec import FOREIGN_SIGNATURE


class _Wrapped(msgspec.Struct, omit_defaults=True):
    o: str  # origin shape
    s: str | None = None  # signature
    r: bool = False  # redacted
    i: str | None = None  # item id


def wrap(thinking: Thinking) -> str:
    """The signature to show a client of another shape: origin, signature and ids in one opaque word."""
    wrapped = _Wrapped(
        o=thinking.origin, s=thinking.signature, r=thinking.redacted, i=thinking.item_id
    )
    return FOREIGN_SIGNATURE + base64.urlsafe_b64encode(msgspec.json.encode(wrapped)).decode(
        "ascii"
    )


def unwrap(signature: str, thinking: Thinking) -> Thinking | None:
    """The Thinking that `wrap` was given, with `thinking`'s text; None when this is no wrapped signature."""
    if not signature.startswith(FOREIGN_SIGNATURE):
        return None
    try:
        packed = base64.urlsafe_b64decode(signature[len(FOREIGN_SIGNATURE) :].encode("ascii"))
        wrapped = msgspec.json.decode(packed, type=_Wrapped)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        return None
    return msgspec.structs.replace(
        thinking, origin=wrapped.o, signature=wrapped.s, redacted=wrapped.r, item_id=wrapped.i
    )
