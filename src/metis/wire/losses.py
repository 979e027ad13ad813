"""What is noted of a body that crosses into another shape: where its parts stand, and what has no place over there."""

from __future__ import annotations

from typing import Any, Final, cast

from metis.ir.content import Extras, Part, ToolCall

# Under these names a Responses message item keeps its own fields with its first part, and marks the others.
ENVELOPE: Final = "item"
SAME_ITEM: Final = "same_item"
# What every item has says nothing beside the part itself.
_ANY_ITEMS: Final = frozenset({"id", "type", "role", "status"})
# What every shape's citation of a web page says: an address, a title and where in the text.
_OF_A_PAGE: Final = frozenset({"type", "url", "title", "start_index", "end_index", "url_citation"})
_PARTS: Final = {
    "anthropic_messages": "content",
    "openai_chat": "choices[0].message.content",
    "openai_responses": "output",
    "bedrock_converse": "output.message.content",
    "google_generate_content": "candidates[0].content.parts",
}
_CITATIONS: Final = {
    "anthropic_messages": "citations",
    "bedrock_converse": "citationsContent.citations",
}


def part_path(origin: str, index: int) -> str:
    """Where the part of an answer stands in the body that came in."""
    return f"{_PARTS.get(origin, 'content')}[{index}]"


def choice_path(origin: str, index: int) -> str:
    """Where one of several answers stands in the body that came in."""
    return (
        f"{'candidates' if _PARTS.get(origin, '').startswith('candidates') else 'choices'}[{index}]"
    )


def citation_path(path: str, number: int) -> str:
    """Where a citation of an answer's text stands in the body that came in; `path` is the text's, of `part_path`."""
    for origin, start in _PARTS.items():
        if path.startswith(f"{start}["):
            return f"{path}.{_CITATIONS.get(origin, 'annotations')}[{number}]"
    return f"{path}.citations[{number}]"


def result_path(path: str, index: int) -> str:
    """Where a part of a tool's result stands in the request that came in, whose entry is at `path`."""
    return f"{path}.{'output' if path.startswith('input[') else 'content'}[{index}]"


def says_something(value: object) -> bool:
    """Whether leaving a field out loses anything: null, "", [] and {} say nothing."""
    return value is not None and value != "" and value != [] and value != {}


def lost_names(extras: Extras) -> list[str]:
    """The names of those fields that say something: an answer's own or a part's."""
    names: list[str] = []
    for name, value in extras.items():
        if name == ENVELOPE and isinstance(value, dict):
            item = cast(dict[str, Any], value)
            names += [
                key
                for key, inner in item.items()
                if key not in _ANY_ITEMS and says_something(inner)
            ]
        elif name != SAME_ITEM and says_something(value):
            names.append(name)
    return names


def lost_of_part(part: Part, path: str) -> list[str]:
    """The paths of a part's fields that only the shape it came in has a place for."""
    names = lost_names(part.extras)
    if isinstance(part, ToolCall) and part.namespace:
        names.append("namespace")
    return [f"{path}.{name}" for name in names]


def lost_at_stop(begun: Part, whole: Part | None, path: str) -> list[str]:
    """The same for what a streamed part says only once it is whole, after its beginning has gone out.

    An upstream was seen to name a call anew there; the client keeps the id that it was told first.
    """
    if whole is None:
        return []
    known = lost_of_part(begun, path)
    late = [lost for lost in lost_of_part(whole, path) if lost not in known]
    if isinstance(begun, ToolCall) and isinstance(whole, ToolCall):
        late += [f"{path}.call_id"] if begun.call_id != whole.call_id else []
    return late


def lost_of_citation(citation: dict[str, Any], path: str) -> list[str]:
    """The paths of what a citation of a web page says beside the page."""
    return [
        f"{path}.{name}"
        for name, value in citation.items()
        if name not in _OF_A_PAGE and says_something(value)
    ]
