"""The shape's own name, and whose signatures it carries."""

from __future__ import annotations

from typing import Final

NAME: Final = "bedrock_converse"
API: Final = "the Converse API"
# Signatures of Claude's thinking hold on every platform that serves it:
# platform.claude.com/docs/en/build-with-claude/extended-thinking ("compatible across platforms").
CLAUDE: Final = "anthropic_messages"
