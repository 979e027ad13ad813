"""A plain HTTP client for tests: sends exactly these bytes, gives back exactly those."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any

PATHS = {
    "anthropic_messages": "/v1/messages",
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
}


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def send(
    port: int,
    path: str,
    body: bytes | dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    *,
    method: str | None = None,
    timeout_s: float = 30,
) -> Reply:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    payload = json.dumps(body).encode() if isinstance(body, dict) else body
    connection.request(method or ("GET" if body is None else "POST"), path, payload, headers or {})
    answer = connection.getresponse()
    reply = Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    connection.close()
    return reply


def request_for(shape: str, model: str, text: str = "Say hello.", **more: Any) -> dict[str, Any]:
    """The smallest request of a shape."""
    if shape == "openai_responses":
        return {"model": model, "input": text, **more}
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    return {"max_tokens": 64, **body} if shape == "anthropic_messages" else body
