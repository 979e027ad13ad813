"""Reading JSON that strangers wrote: what is not of the wanted kind counts as empty."""

from __future__ import annotations

import json
from typing import Any, cast

Json = dict[str, Any]


def object_in(value: Any) -> Json:
    """An object; {} for anything else."""
    return cast(Json, value) if isinstance(value, dict) else {}


def list_in(value: Any) -> list[Any]:
    """An array; [] for anything else."""
    return cast(list[Any], value) if isinstance(value, list) else []


def dicts(value: Any) -> list[Json]:
    """The objects of an array."""
    return [object_in(one) for one in list_in(value) if isinstance(one, dict)]


def decoded_object(raw: bytes | str) -> Json:
    """A JSON text's object; {} when it is none."""
    try:
        return object_in(json.loads(raw))
    except ValueError:
        return {}


def integer(value: Any) -> int:
    """A count; 0 when it is no integer."""
    return value if isinstance(value, int) else 0


def text_of(content: Any) -> str:
    """The text of a content field: a string, or the joined texts of its parts."""
    if isinstance(content, str):
        return content
    found = [part.get("text") for part in dicts(content)]
    return "".join(one for one in found if isinstance(one, str))
