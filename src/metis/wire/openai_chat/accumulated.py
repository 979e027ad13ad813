"""What OpenAI's SDKs make of streamed `reasoning_details`, undone. What the details mean is in `reasoning`.

Their accumulators join list entries of one index and every text in them: a `format` told with each
piece comes back repeated, and the proof of a summary comes back inside the summary's own entry
(`accumulate_delta` in openai-python's lib/streaming/_deltas.py).
"""

from __future__ import annotations

from typing import Any, Final

Detail = dict[str, Any]

_TEXTS: Final = {"text": "reasoning.text", "summary": "reasoning.summary"}
_PROOF: Final = ("data", "id")


def as_told(detail: Detail, formats: tuple[str, ...]) -> list[Detail]:
    """The details as they were streamed; one that no accumulator has touched is given back itself.

    `formats` are those that are told with each piece.
    """
    told = detail.get("format")
    if not isinstance(told, str):
        return [detail]
    known = next((name for name in formats if _repeats(told, name)), None)
    if known is None:
        return [detail]
    mended = {**detail, "format": known}
    text = next((name for name in _TEXTS if isinstance(detail.get(name), str)), None)
    if text is None or not isinstance(detail.get("data"), str):
        return [mended]
    spoken = {key: value for key, value in mended.items() if key not in _PROOF}
    proof = {key: value for key, value in mended.items() if key != text}
    return [{**spoken, "type": _TEXTS[text]}, {**proof, "type": "reasoning.encrypted"}]


def _repeats(told: str, name: str) -> bool:
    """Whether `told` is `name` twice or more often."""
    times, rest = divmod(len(told), len(name))
    return times > 1 and rest == 0 and told == name * times
