"""The APIs the suite speaks at both ends, by name."""

from __future__ import annotations

from typing import Final

from metis.conformance.dialects.anthropic import ANTHROPIC
from metis.conformance.dialects.dialect import Dialect, Name
from metis.conformance.dialects.openai import OPENAI
from metis.conformance.dialects.responses import RESPONSES

DIALECTS: Final[dict[Name, Dialect]] = {one.name: one for one in (ANTHROPIC, OPENAI, RESPONSES)}


def dialect_of(path: str) -> Dialect | None:
    """The API whose path this is, with or without a prefix and a query."""
    bare = path.partition("?")[0].rstrip("/")
    ends = {one.path.removeprefix("/v1"): one for one in DIALECTS.values()}
    return next((one for end, one in ends.items() if bare.endswith(end)), None)
