"""Images and files as base64: what their first bytes say they are, and data URLs taken apart."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from metis.ir.content import Media

IMAGE_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})

_BASE64_HEADS: Final = {
    "iVBOR": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
}
_DATA_URL: Final = re.compile(r"data:([^;,]*)(?:;[^,]*)?;base64,(.*)", re.DOTALL | re.IGNORECASE)


def image_type(media_type: str, data: str) -> str:
    """An image's media type. Clients mislabel them, and APIs refuse what does not match the first bytes."""
    for head, sniffed in _BASE64_HEADS.items():
        if data.startswith(head):
            return sniffed
    return "image/jpeg" if media_type == "image/jpg" else media_type


def without_data_url(part: Media) -> Media:
    """The same file, its `data` and `media_type` taken out of a data URL where its address is one."""
    found = _DATA_URL.fullmatch(part.url) if part.url is not None else None
    if found is None:
        return part
    media_type = found.group(1).lower() or part.media_type
    return msgspec.structs.replace(part, url=None, data=found.group(2), media_type=media_type)
