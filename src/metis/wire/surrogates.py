"""Escapes in JSON text that name half a character: valid JSON for some writers, readable by few."""

from __future__ import annotations

import re
from typing import Final

# An escape is taken whole, so that the backslashes of "\\\\ud800" are no escape of a surrogate.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_REPLACEMENT: Final = rb"\ufffd"


def without_lone_surrogates(text: bytes) -> bytes:
    """The text with U+FFFD in the place of each surrogate that has no partner; the same object if there is none."""
    if b"\\ud" not in text and b"\\uD" not in text:
        return text
    return _ESCAPE.sub(lambda found: _REPLACEMENT if found.group(1) else found.group(), text)
