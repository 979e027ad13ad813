"""Why a text is no JSON, where the decoder's own words would mislead. Only runs once decoding failed."""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

# One half of a pair, without its other half beside it (RFC 8259, section 7).
_HALF: Final = re.compile(
    rb"\\u[dD][89aAbB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89aAbB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_MOST_LOOKED_AT: Final = 100
_LONGEST_RUN: Final = 64


def fault_of(text: bytes, error: Exception) -> str:
    """What is wrong: a lone surrogate by its name and byte, which the decoder takes for a text cut short."""
    for half in islice(_HALF.finditer(text), _MOST_LOOKED_AT):
        before = text[max(0, half.start() - _LONGEST_RUN) : half.start()]
        if (
            len(before) - len(before.rstrip(b"\\"))
        ) % 2 == 0:  # else the backslash is itself escaped
            return (
                f"{half[0].decode('ascii')} (byte {half.start()}) is one half of a surrogate pair and stands "
                "for no character; send both halves, or leave it out"
            )
    return str(error)
