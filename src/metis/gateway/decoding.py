"""Compressed request bodies: decoded, with a bound, since upstreams are sent what the ledger has seen."""

from __future__ import annotations

import zlib
from typing import Final

from metis.errors import BadRequest, TooLarge, UnsupportedMedia

_WINDOWS: Final = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}


def decode_body(body: bytes, encoding: bytes, max_bytes: int) -> bytes:
    """The body as it was before compression.

    Raises UnsupportedMedia for codings not spoken here, TooLarge when it grows over `max_bytes`,
    BadRequest when it is not what it says.
    """
    coding = encoding.strip().lower()
    if coding in (b"", b"identity"):
        return body
    window = _WINDOWS.get(coding)
    if window is None:
        raise UnsupportedMedia(
            f"content-encoding {encoding.decode('latin-1')!r} is not spoken here; "
            "use gzip, deflate or none"
        )
    decoder = zlib.decompressobj(window)
    try:
        plain = decoder.decompress(body, max_bytes + 1)
    except zlib.error as exc:
        raise BadRequest(f"the body is not valid {coding.decode()}: {exc}") from exc
    if len(plain) > max_bytes:
        raise TooLarge(f"the decoded body is over {max_bytes} bytes (gateway.max_body_bytes)")
    if not decoder.eof or decoder.unused_data:
        raise BadRequest(f"the {coding.decode()} body is cut or has something behind it")
    return plain
