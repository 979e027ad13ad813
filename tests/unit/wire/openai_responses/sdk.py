"""The openai SDK as judge: its own stream parser and types read what the codec wrote, with no network."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

Json = dict[str, Any]

_EVENTS = TypeAdapter[Any](ResponseStreamEvent)


def client_answering(body: bytes, content_type: str) -> openai.OpenAI:
    """A client whose every call is answered with `body`."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": content_type}, content=body)

    transport = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(
        api_key="k", base_url="http://sdk.test/v1", http_client=transport, max_retries=0
    )


def streamed(body: bytes, **request: Any) -> tuple[list[Any], Response]:
    """The events that the SDK's accumulating stream fires, and the response it ends with."""
    client = client_answering(body, "text/event-stream")
    with client.responses.stream(model="m", input="x", **request) as stream:
        fired = list(stream)
        return fired, stream.get_final_response()


def raw_events(body: bytes) -> list[Any]:
    client = client_answering(body, "text/event-stream")
    return list(client.responses.create(model="m", input="x", stream=True))


def created(body: bytes) -> Response:
    return client_answering(body, "application/json").responses.create(model="m", input="x")


def check_event(event: Json) -> None:
    """Validate an event against the SDK's types, strictly; keepalive is not among them."""
    if event["type"] == "keepalive":
        return
    _EVENTS.validate_python(json.loads(json.dumps(event)))


def check_response(response: Json) -> None:
    Response.model_validate(response)
