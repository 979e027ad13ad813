"""What the ledger needs of a decoded answer, for shapes that have no quicker way to read it."""

from __future__ import annotations

from metis.ir.content import Text, Thinking, ToolCall
from metis.ir.response import Response
from metis.wire.codec import ResponseFacts


def facts_of_response(response: Response) -> ResponseFacts:
    """The facts of a whole answer, all its choices counted."""
    facts = ResponseFacts(
        response_id=response.response_id,
        model=response.model,
        usage=response.usage,
        stop=response.stop if response.stop_raw else "",
        stop_raw=response.stop_raw,
        complete=True,
    )
    for choice in (response, *response.choices):
        for part in choice.parts:
            match part:
                case ToolCall():
                    facts.tool_calls += 1
                    facts.output_characters += len(part.arguments)
                case Text() | Thinking():
                    facts.output_characters += len(part.text)
                case _:
                    pass
    return facts
