"""Citations of other shapes as chat `annotations`, which know web pages only. Nothing else is cited in chat."""

from __future__ import annotations

from typing import Any

from metis.wire.openai_chat.fields import Object


def annotation_of(citation: dict[str, Any], start: int, length: int) -> Object | None:
    """A `url_citation` for a citation of the text at `start` of the whole content; None when it names no page.

    Anthropic cites for a whole block (`length` characters), Responses for a range inside its part.
    https://platform.openai.com/docs/api-reference/chat/object (annotations).
    """
    match citation:
        case {"type": "url_citation", "url_citation": dict()}:
            return citation
        case {"type": "url_citation", "url": str() as url}:
            begin, end = citation.get("start_index"), citation.get("end_index")
            begin = start + (begin if isinstance(begin, int) else 0)
            end = start + (end if isinstance(end, int) else length)
        case {"type": "web_search_result_location" | "search_result_location", **_rest}:
            url = citation.get("url") or citation.get("source")
            if not isinstance(url, str):
                return None
            begin, end = start, start + length
        case _:
            return None
    title = citation.get("title")
    page = {
        "url": url,
        "title": title if isinstance(title, str) else "",
        "start_index": begin,
        "end_index": end,
    }
    return {"type": "url_citation", "url_citation": page}
