"""Entries of a conversation as far as features count them. Types to decode into only.

They read the three shapes' entries generically (role, type, content parts).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

ABSENT: Final = msgspec.Raw()


class Part(msgspec.Struct, gc=False):
    """A part of an entry's content, as far as it counts."""

    type: str = ""
    text: str | None = None
    is_error: Any = None
    cache_control: msgspec.Raw = ABSENT


class Speaker(msgspec.Struct, gc=False):
    """Whose entry of a conversation it is."""

    role: str | None = None
    type: str | None = None


class Entry(Speaker, gc=False):
    """An entry of a conversation, as far as it counts."""

    content: str | list[Part] | None = None
