"""Structured output: `response_format` as OpenAI writes it. Nothing else."""

from __future__ import annotations

from metis.ir.request import OutputFormat
from metis.wire.openai_chat.fields import Object


def plain_output_format(wanted: OutputFormat) -> Object:
    """https://platform.openai.com/docs/guides/structured-outputs. The name is left out where there is none."""
    if wanted.kind != "json_schema":
        return {"type": wanted.kind}
    schema: Object = {}
    if wanted.name:
        schema["name"] = wanted.name
    if wanted.description is not None:
        schema["description"] = wanted.description
    if wanted.schema is not None:
        schema["schema"] = wanted.schema
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}
