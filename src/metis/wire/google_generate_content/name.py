"""The shape's own name, and the words its parts are told apart by."""

from __future__ import annotations

from typing import Final

NAME: Final = "google_generate_content"
API: Final = "the Gemini API"
# What stands on any part and proves the reasoning before it: ai.google.dev/gemini-api/docs/thought-signatures.
SIGNATURE: Final = "thoughtSignature"
