"""JSON schemas in the dialect that Anthropic's structured outputs and tool inputs accept.

Source: platform.claude.com/docs/en/build-with-claude/structured-outputs ("JSON Schema limitations"):
every object closed, no numeric, length or count bounds, no unknown string formats.
"""

from __future__ import annotations

from typing import Any

from metis.wire.fields import Json, as_list, as_object

_UNSUPPORTED = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
        "contains",
        "minProperties",
        "maxProperties",
        "patternProperties",
        "propertyNames",
    }
)
_FORMATS = frozenset(
    {
        "date-time",
        "time",
        "date",
        "duration",
        "email",
        "hostname",
        "uri",
        "ipv4",
        "ipv6",
        "uuid",
    }
)
_MAPS = ("properties", "$defs", "definitions")
_LISTS = ("anyOf", "allOf")
_COMBINERS = ("anyOf", "oneOf", "allOf")
MAX_DEPTH = 64  # of schemas in schemas; no API takes deeper ones


def constrain(schema: Json) -> tuple[Json, tuple[str, ...]]:
    """The schema as structured output takes it, and the names of what was changed, sorted, without repeats."""
    changed: set[str] = set()
    return _constrain(schema, changed, 0), tuple(sorted(changed))


def _constrain(schema: Json, changed: set[str], depth: int) -> Json:
    if depth > MAX_DEPTH:
        changed.add("depth")
        return {}
    kept: Json = {}
    for key, value in schema.items():
        if _unsupported(key, value):
            changed.add(key)
        elif key == "oneOf":
            changed.add(key)
            kept["anyOf"] = _each(value, changed, depth)
        elif key in _LISTS:
            kept[key] = _each(value, changed, depth)
        elif key in _MAPS and (members := as_object(value)) is not None:
            kept[key] = {name: _inner(item, changed, depth) for name, item in members.items()}
        elif key == "items":
            kept[key] = _inner(value, changed, depth)
        else:
            kept[key] = value
    is_object = kept.get("type") == "object" or "properties" in kept
    if is_object and kept.get("additionalProperties") is not False:
        changed.add("additionalProperties")
        kept["additionalProperties"] = False
    return kept


def _unsupported(key: str, value: Any) -> bool:
    if key == "minItems":
        return value not in (0, 1)
    if key == "format":
        return not isinstance(value, str) or value not in _FORMATS
    return key in _UNSUPPORTED


def _inner(value: Any, changed: set[str], depth: int) -> Any:
    found = as_object(value)
    return value if found is None else _constrain(found, changed, depth + 1)


def _each(value: Any, changed: set[str], depth: int) -> Any:
    found = as_list(value)
    return value if found is None else [_inner(item, changed, depth) for item in found]


def tool_schema(schema: Json | None) -> tuple[Json, tuple[str, ...]]:
    """A tool's `input_schema`: an object at the top, no combiners there; and what was changed."""
    if not schema:
        return {"type": "object", "properties": {}}, ()
    # The API answers 400: "input_schema does not support oneOf, allOf, or anyOf at the top level".
    dropped = tuple(key for key in _COMBINERS if key in schema)
    kept = {key: value for key, value in schema.items() if key not in _COMBINERS}
    if kept.get("type") != "object":
        dropped = (*dropped, "type") if "type" in kept else dropped
        kept = {**kept, "type": "object"}
    return kept, dropped
