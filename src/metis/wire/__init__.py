"""API shapes: one file each, listed in SHAPES. To add a shape, write its file and put its value here."""

from __future__ import annotations

from typing import Final

from metis.wire.anthropic_messages import ANTHROPIC_MESSAGES
from metis.wire.codec import Shape
from metis.wire.openai_chat import OPENAI_CHAT
from metis.wire.openai_responses import OPENAI_RESPONSES

SHAPES: Final[tuple[Shape, ...]] = (ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES)
