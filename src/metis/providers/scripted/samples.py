"""A value that a JSON schema allows, always the same one. Only what tools' and outputs' schemas use is understood."""

from __future__ import annotations

from typing import Any, Final, cast

Schema = dict[str, Any]

_TEXT: Final = "scripted"
_DEEPEST: Final = 16  # a schema may contain itself; by then its optional parts have been left out
_BY_FORMAT: Final = {
    "date": "2025-01-01",
    "date-time": "2025-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "scripted@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def sample(schema: Schema) -> Any:
    """The smallest value: required properties only, first choices, least numbers."""
    return _sample(schema, schema, 0)


def _sample(schema: Any, root: Schema, depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return None
    typed = cast(Schema, schema)
    if "$ref" in typed:
        return _sample(_referred(str(typed["$ref"]), root), root, depth + 1)
    for key in ("const", "default"):
        if key in typed:
            return typed[key]
    if isinstance(typed.get("enum"), list) and typed["enum"]:
        return typed["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if isinstance(typed.get(key), list) and typed[key]:
            return _sample(typed[key][0], root, depth + 1)
    return _by_type(typed, root, depth)


def _by_type(schema: Schema, root: Schema, depth: int) -> Any:
    match _type_of(schema):
        case "object":
            properties = cast(Schema, schema.get("properties") or {})
            required = cast(list[str], schema.get("required") or [])
            return {name: _sample(properties.get(name, {}), root, depth + 1) for name in required}
        case "array":
            least = schema.get("minItems")
            count = least if isinstance(least, int) else 0
            return [_sample(schema.get("items", {}), root, depth + 1)] * count
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return True
        case "null":
            return None
        case _:  # a string, or a type that no schema has
            return _text(schema)


def _type_of(schema: Schema) -> Any:
    named: object = schema.get("type", "object" if "properties" in schema else "string")
    return cast(list[Any], named)[0] if isinstance(named, list) and named else cast(Any, named)


def _number(schema: Schema) -> int | float:
    if "minimum" in schema:
        return schema["minimum"]
    if "exclusiveMinimum" in schema:
        return schema["exclusiveMinimum"] + 1
    if "maximum" in schema:
        return min(1, schema["maximum"])
    return 1


def _text(schema: Schema) -> str:
    text = _BY_FORMAT.get(str(schema.get("format", "")), _TEXT)
    least, most = schema.get("minLength"), schema.get("maxLength")
    if isinstance(least, int) and len(text) < least:
        text = text.ljust(least, ".")
    return text[:most] if isinstance(most, int) else text


def _referred(reference: str, root: Schema) -> Any:
    found: Any = root
    for step in reference.removeprefix("#").split("/"):
        if step and isinstance(found, dict):
            found = cast(Schema, found).get(step.replace("~1", "/").replace("~0", "~"))
    return found
