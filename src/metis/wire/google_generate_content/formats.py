"""What an address says of its file: the API wants a media type beside each, other APIs look for themselves.

Source of what Gemini reads: docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal (image, document, audio and
video understanding, "supported MIME types").
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

_TYPES: Final = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "gif": "image/gif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "m4a": "audio/mp4",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "mpeg": "video/mpeg",
    "webm": "video/webm",
}


def type_of_address(url: str) -> str:
    """The media type that an address's ending stands for; "" where it has none."""
    return _TYPES.get(urlsplit(url).path.rpartition(".")[2].lower(), "")
