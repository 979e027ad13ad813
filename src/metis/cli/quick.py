"""Plain `metis up` options without the command line's machinery, which would cost a tenth of a second.

Anything unusual (help, an unknown option, a wrong value) is left to `app`, whose messages are better.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from metis.config import UpOptions


def parse_up(arguments: Sequence[str]) -> UpOptions | None:
    """Read `up`'s options; None when `app` should look at them."""
    types = {
        "--" + field.name.replace("_", "-"): field for field in msgspec.structs.fields(UpOptions)
    }
    given: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        flag, joined, value = rest.pop(0).partition("=")
        field = types.get(flag)
        if field is None:
            return None
        if isinstance(field.default, bool):
            if joined:
                return None
            given[field.name] = True
            continue
        if not joined:
            if not rest or rest[0].startswith("-"):
                return None
            value = rest.pop(0)
        given[field.name] = value
    try:
        return msgspec.convert(given, UpOptions, strict=False)
    except msgspec.ValidationError:
        return None
