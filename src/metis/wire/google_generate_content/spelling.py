"""Field names in camel and in snake case: Google's servers read both, clients of one request mix them.

Known fields are read under their camel names; which ones came in snake case stays among the node's extras, so that they
go out as they came. Source: protobuf.dev/programming-guides/json ("Parsers accept both").
"""

from __future__ import annotations

import re
from typing import Any, Final, cast

from metis.wire.fields import Fields, Json, as_object

# No field of the API has a name with spaces.
SPELT: Final = "spelt in snake case"
_KNOWN: Final = frozenset(
    {
        *("system_instruction", "generation_config", "tool_config", "function_calling_config"),
        *("function_call", "function_response", "inline_data", "file_data", "thought_signature"),
        *("mime_type", "file_uri", "max_output_tokens", "top_p", "top_k", "stop_sequences"),
        "parameters_json_schema",
    }
)
_NEXT_WORD: Final = re.compile("_([a-z])")


def camel(name: str) -> str:
    return _NEXT_WORD.sub(lambda found: found[1].upper(), name)


def read_object(value: object, where: str) -> Fields:
    """The object's fields, known ones under their camel names. Raises CodecError when it is no object."""
    fields = Fields(value, where)
    spelt = [name for name in fields.left if name in _KNOWN and camel(name) not in fields.left]
    for name in spelt:
        fields.left[camel(name)] = fields.left.pop(name)
    if spelt:
        fields.left[SPELT] = spelt
    return fields


def inner_object(extras: Json, name: str) -> Json:
    """What nobody took of an object inside a node."""
    return as_object(extras.get(name)) or {}


def respelt(value: Json) -> Json:
    """The object with its names as they came; the note of them is taken out."""
    names = cast("list[Any]", value.pop(SPELT, None) or [])
    for name in names:
        if camel(name) in value:
            value[name] = value.pop(camel(name))
    return value
