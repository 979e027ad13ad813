"""The sentence that stands for structured output where an API has none."""

from __future__ import annotations

from metis.wire.fields import Json, dump_json


def json_hint(schema: Json | None) -> str:
    """Ask for one JSON object, by this schema where there is one."""
    if schema is None:
        return "Answer with one valid JSON object and nothing else."
    text = dump_json(schema).decode()
    return f"Answer with one valid JSON object and nothing else. It must match this schema:\n{text}"
