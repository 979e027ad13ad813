"""API shapes: one file each. To add a shape, write its file and put its value here.

SHAPES are what clients speak, and providers too; UPSTREAM_SHAPES holds those as well that only providers speak.
"""

from __future__ import annotations

from typing import Final

from metis.wire.anthropic_messages import ANTHROPIC_MESSAGES
from metis.wire.bedrock_converse import BEDROCK_CONVERSE
from metis.wire.codec import Shape, UpstreamShape
from metis.wire.google_generate_content import GOOGLE_GENERATE_CONTENT
from metis.wire.openai_chat import OPENAI_CHAT
from metis.wire.openai_responses import OPENAI_RESPONSES

SHAPES: Final[tuple[Shape, ...]] = (ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES)
UPSTREAM_SHAPES: Final[tuple[UpstreamShape, ...]] = (
    *SHAPES,
    BEDROCK_CONVERSE,
    GOOGLE_GENERATE_CONTENT,
)
