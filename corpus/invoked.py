"""Bedrock's InvokeModel: whose API a body is of, and streams read out of AWS's frames. It holds many APIs in one.

Claude's is Anthropic's Messages; Nova's is all but Converse, whose events stand in frames of another kind.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any, Final

from metis.ir.stream import StreamEvent
from metis.wire.anthropic_messages import ANTHROPIC_MESSAGES
from metis.wire.bedrock_converse import BEDROCK_CONVERSE
from metis.wire.bedrock_invoke import InvokeUnframer
from metis.wire.codec import UpstreamShape
from metis.wire.event_stream import EventStreamDecoder, encode_event_frame


class _FramedDecoder:
    """Anthropic's stream in AWS's frames, so that it can be cut at every byte of these."""

    def __init__(self) -> None:
        self._unframer = InvokeUnframer()
        self._inner = ANTHROPIC_MESSAGES.stream_decoder()

    def feed(self, data: bytes) -> list[StreamEvent]:
        return self._inner.feed(self._unframer.feed(data))

    def finish(self) -> list[StreamEvent]:
        return self._inner.finish()


CLAUDE: Final = dataclasses.replace(ANTHROPIC_MESSAGES, stream_decoder=_FramedDecoder)


def shape_of(body: Any) -> UpstreamShape | None:
    """The shape of a request's body; None for models of an older kind, which take one prompt, and for embeddings."""
    if not isinstance(body, dict) or "messages" not in body:
        return None
    if "anthropic_version" in body:
        return CLAUDE
    if "inferenceConfig" in body or "schemaVersion" in body:
        return BEDROCK_CONVERSE
    return None


def converse_frames(data: bytes) -> bytes:
    """Nova's stream as Converse's: each chunk holds one event under its name."""
    frames: list[bytes] = []
    for frame in EventStreamDecoder().feed(data):
        event = json.loads(base64.b64decode(json.loads(frame.payload)["bytes"]))
        name = next(iter(event))
        frames.append(encode_event_frame(name, json.dumps(event[name]).encode()))
    return b"".join(frames)
