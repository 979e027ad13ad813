"""Citations of other shapes as this shape's annotations. Own annotations pass as they are.

Sources: https://platform.openai.com/docs/api-reference/responses/object (annotations),
https://docs.anthropic.com/en/docs/build-with-claude/citations, and chat's `annotations` of a message.
"""

from __future__ import annotations

from typing import Final

from metis.wire.openai_responses.fields import Json, object_or_empty

_OWN: Final = frozenset({"url_citation", "file_citation", "container_file_citation", "file_path"})


def annotation_of(citation: Json, length: int) -> Json | None:
    """The annotation that says what a citation says; None where this shape has no word for it.

    `length` is the cited text's, in characters: a citation that names no place is for all of it.
    """
    nested = object_or_empty(citation.get("url_citation"))
    if nested:
        citation = {"type": "url_citation", **nested}
    if citation.get("type") in _OWN:
        return citation
    url = citation.get("url")
    if not isinstance(url, str) or not url:
        return None
    title = citation.get("title")
    return {
        "type": "url_citation",
        "url": url,
        "title": title if isinstance(title, str) else "",
        "start_index": 0,
        "end_index": length,
    }
