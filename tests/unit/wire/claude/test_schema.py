"""JSON schemas in the dialect that structured output takes."""

from __future__ import annotations

from typing import Any

import pytest

from metis.wire.claude.schema import constrain, tool_schema


def test_a_schema_in_the_dialect_is_left_alone() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "date"}},
            "b": {"$ref": "#/$defs/B"},
            "minimum": {"enum": [1, 2]},
        },
        "required": ["a"],
        "additionalProperties": False,
        "$defs": {"B": {"anyOf": [{"type": "null"}, {"type": "integer"}]}},
    }
    assert constrain(schema) == (schema, ())


def test_what_is_outside_the_dialect_is_taken_out_and_named() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "minLength": 1, "format": "phone"},
            "b": {"type": "array", "minItems": 2, "items": {"type": "number", "maximum": 3}},
            "c": {"oneOf": [{"type": "object", "additionalProperties": {"type": "string"}}]},
        },
    }
    assert constrain(schema) == (
        {
            "type": "object",
            "properties": {
                "a": {"type": "string"},
                "b": {"type": "array", "items": {"type": "number"}},
                "c": {"anyOf": [{"type": "object", "additionalProperties": False}]},
            },
            "additionalProperties": False,
        },
        ("additionalProperties", "format", "maximum", "minItems", "minLength", "oneOf"),
    )


def test_a_schema_nested_without_end_is_cut() -> None:
    schema: dict[str, Any] = {}
    for _ in range(500):
        schema = {"items": schema}
    assert constrain(schema)[1] == ("depth",)


@pytest.mark.parametrize(
    ("schema", "sent", "changed"),
    [
        (None, {"type": "object", "properties": {}}, ()),
        ({}, {"type": "object", "properties": {}}, ()),
        ({"properties": {"a": {}}}, {"properties": {"a": {}}, "type": "object"}, ()),
        ({"type": "string"}, {"type": "object"}, ("type",)),
        ({"type": "object", "oneOf": [{}], "x": 1}, {"type": "object", "x": 1}, ("oneOf",)),
    ],
)
def test_a_tool_s_schema_is_an_object_at_the_top(schema: Any, sent: Any, changed: Any) -> None:
    assert tool_schema(schema) == (sent, changed)
