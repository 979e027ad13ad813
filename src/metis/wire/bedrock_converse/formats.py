"""Converse names a file's format by a word, other APIs by its media type. Both ways, by one table.

Source: docs.aws.amazon.com/bedrock/latest/APIReference: ImageBlock, DocumentBlock, VideoBlock, AudioBlock.
"""

from __future__ import annotations

from typing import Final, Literal

MediaKind = Literal["image", "document", "audio", "video"]

_TYPES: Final[dict[MediaKind, dict[str, str]]] = {
    "image": {
        "png": "image/png",
        "jpeg": "image/jpeg",
        "gif": "image/gif",
        "webp": "image/webp",
    },
    "document": {
        "pdf": "application/pdf",
        "csv": "text/csv",
        "doc": "application/msword",
        "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xls": "application/vnd.ms-excel",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "html": "text/html",
        "txt": "text/plain",
        "md": "text/markdown",
    },
    "video": {
        "mkv": "video/x-matroska",
        "mov": "video/quicktime",
        "mp4": "video/mp4",
        "webm": "video/webm",
        "flv": "video/x-flv",
        "mpeg": "video/mpeg",
        "mpg": "video/mpg",
        "wmv": "video/x-ms-wmv",
        "three_gp": "video/3gpp",
    },
    "audio": {
        "mp3": "audio/mpeg",
        "wav": "audio/wav",
        "flac": "audio/flac",
        "ogg": "audio/ogg",
        "opus": "audio/opus",
        "aac": "audio/aac",
        "m4a": "audio/mp4",
        "webm": "audio/webm",
    },
}
_WORDS: Final = {
    kind: {media_type: word for word, media_type in types.items()} for kind, types in _TYPES.items()
}


def media_type_of(kind: MediaKind, word: str) -> str | None:
    return _TYPES[kind].get(word)


def word_of(kind: MediaKind, media_type: str) -> str | None:
    """The word for a media type; None for a type the API does not take."""
    return _WORDS[kind].get(media_type)
