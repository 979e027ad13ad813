"""Gemini as an upstream for tests, on its own API and on Vertex AI: it checks who asks, and its signatures.

Like Gemini 3, it refuses a history whose calls do not hold the signature that it gave them
(ai.google.dev/gemini-api/docs/thought-signatures).
"""

from __future__ import annotations

import json
from typing import Any

from tests.upstream import Seen, Wire

KEY, TOKEN = "gemini-key", "vertex-token"
SIGNED_CALL, SIGNED_TEXT = "Q0FMTCA/+w==", "VEVYVCA/+w=="
USAGE = {
    "promptTokenCount": 1_000,
    "cachedContentTokenCount": 600,
    "candidatesTokenCount": 30,
    "thoughtsTokenCount": 12,
    "totalTokenCount": 1_042,
}
THOUGHT = {"text": "I had better look.", "thought": True}
CALLS: list[dict[str, Any]] = [
    {"functionCall": {"name": "look", "args": {"at": "Oslo"}}, "thoughtSignature": SIGNED_CALL},
    {"functionCall": {"name": "look", "args": {"at": "Rome"}}},
]
SPOKEN = [{"text": "Grüße, "}, {"text": "kalt."}, {"text": "", "thoughtSignature": SIGNED_TEXT}]


def answer(parts: list[dict[str, Any]], reason: str = "") -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    return {
        "candidates": [candidate],
        "usageMetadata": USAGE,
        "modelVersion": "gemini-2.5-flash",
        "responseId": "gem-1",
    }


def error(status: int, message: str, name: str, **more: Any) -> dict[str, Any]:
    return {"error": {"code": status, "message": message, "status": name, **more}}


def _refusal(seen: Seen) -> dict[str, Any] | None:
    """What it answers to a caller it does not know, or to a call that lost its signature."""
    on_vertex = "/projects/" in seen.path
    if on_vertex and seen.header("authorization") != f"Bearer {TOKEN}":
        return error(401, "Request had invalid credentials.", "UNAUTHENTICATED")
    if not on_vertex and seen.header("x-goog-api-key") != KEY:
        reason = {"reason": "API_KEY_INVALID"}
        return error(400, "API key not valid.", "INVALID_ARGUMENT", details=[reason])
    if "busy" in seen.path:
        return error(503, "The model is overloaded. Try again later.", "UNAVAILABLE")
    for place, content in enumerate(seen.json["contents"]):
        calls = [part for part in content["parts"] if "functionCall" in part]
        if calls and calls[0].get("thoughtSignature") != SIGNED_CALL:
            why = f"Function call in content block {place} is missing a thought_signature."
            return error(400, why, "INVALID_ARGUMENT")
    return None


async def gemini(seen: Seen, wire: Wire) -> None:
    """Calls its tools where it has any and no result yet, else speaks; a model called `late` or `cut` breaks off."""
    refused = _refusal(seen)
    asked = seen.json
    answered = any("functionResponse" in part for part in asked["contents"][-1]["parts"])
    parts = [THOUGHT, *CALLS] if "tools" in asked and not answered else SPOKEN
    if refused is not None:
        await wire.answer(refused["error"]["code"], json.dumps(refused).encode())
    elif seen.path.endswith(":generateContent"):
        whole = answer(parts, "STOP")
        if asked.get("generationConfig", {}).get("candidateCount") == 2:
            whole["candidates"].append(
                {**answer([{"text": "Kühl."}], "STOP")["candidates"][0], "index": 1}
            )
        await wire.answer(200, json.dumps(whole, ensure_ascii=False).encode())
    else:
        pieces = [answer([part]) for part in parts[:-1]] + [answer(parts[-1:], "STOP")]
        if "late" in seen.path:
            pieces[-1] = error(429, "Resource exhausted.", "RESOURCE_EXHAUSTED")
        elif "cut" in seen.path:
            del pieces[-1]
        data = b"".join(
            b"data: %b\r\n\r\n" % json.dumps(piece, ensure_ascii=False).encode() for piece in pieces
        )
        await wire.begin_stream()
        for place in range(0, len(data), 97):
            await wire.chunk(data[place : place + 97])
        await wire.end_stream()
