"""A tool call's arguments, JSON text in the IR, as the object that some APIs want."""

from __future__ import annotations

from typing import Final

import msgspec

from metis.ir.content import ToolCall
from metis.wire.fields import Json, as_object

# Arguments that are no JSON object cannot be an `input`; they are kept whole under this name.
INVALID_ARGUMENTS: Final = "invalid_json_arguments"


def input_of(call: ToolCall) -> tuple[Json, bool]:
    """A call's `input`, and whether its arguments were what they should be.

    Free text of a custom tool goes under "input" (the one property its schema has here), empty
    arguments are {}, and text that is no JSON object goes whole under INVALID_ARGUMENTS.
    """
    if call.kind == "custom":
        return {"input": call.arguments}, True
    if not call.arguments.strip():
        return {}, True
    try:
        value = msgspec.json.decode(call.arguments)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return {INVALID_ARGUMENTS: call.arguments}, False
    found = as_object(value)
    if found is None:
        return ({}, True) if value is None else ({INVALID_ARGUMENTS: call.arguments}, False)
    return found, True
