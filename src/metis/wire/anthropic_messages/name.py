"""The shape's own name, apart from everything that needs it."""

from __future__ import annotations

from typing import Final

NAME: Final = "anthropic_messages"
