"""Bedrock's InvokeModel around Anthropic's Messages API: the body says its version, the path the model, and streams
come as frames of AWS's event stream, each with one of Anthropic's events in base64.

Source: docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html and
APIReference/API_runtime_InvokeModelWithResponseStream.html.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

import msgspec

from metis.errors import CodecError
from metis.wire.event_stream import (
    EventStreamDecoder,
    Frame,
    encode_event_frame,
    encode_exception_frame,
)
from metis.wire.sse import SseDecoder, encode_event

VERSION: Final = "bedrock-2023-05-31"
CONTENT_TYPE: Final = b"application/vnd.amazon.eventstream"

# What AWS calls what ends a stream, in Anthropic's words.
_ERROR_TYPES: Final = {
    "throttlingException": "rate_limit_error",
    "serviceUnavailableException": "overloaded_error",
    "validationException": "invalid_request_error",
    "modelTimeoutException": "timeout_error",
}


class _Chunk(msgspec.Struct):
    bytes: str = ""


class _Event(msgspec.Struct):
    type: str = ""


class _Exception(msgspec.Struct):
    message: str = ""


class _NamedError(msgspec.Struct):
    type: str = ""
    message: str = ""


class _ErrorEvent(msgspec.Struct):
    error: _NamedError = msgspec.field(default_factory=_NamedError)


# The other way round, for clients that read AWS's streams.
ERROR_NAMES: Final = {
    **{kind: name for name, kind in _ERROR_TYPES.items()},
    "authentication_error": "accessDeniedException",
    "permission_error": "accessDeniedException",
    "not_found_error": "resourceNotFoundException",
    "request_too_large": "validationException",
}

_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_exception = msgspec.json.Decoder(_Exception).decode
_decode_error_event = msgspec.json.Decoder(_ErrorEvent).decode


class InvokeUnframer:
    """Feed frames as they come; get Anthropic's events as server-sent ones, their JSON byte for byte."""

    __slots__ = ("_frames",)

    def __init__(self) -> None:
        self._frames = EventStreamDecoder()

    def feed(self, data: bytes) -> bytes:
        """Raises CodecError on bytes that are no frames, or frames without an event."""
        return b"".join([_unwrapped(frame) for frame in self._frames.feed(data)])


def _unwrapped(frame: Frame) -> bytes:
    kind = frame.headers.get(":message-type", "event")
    if kind != "event":
        return _failed(frame)
    if frame.headers.get(":event-type") != "chunk":
        return b""
    try:
        event = base64.b64decode(_decode_chunk(frame.payload).bytes, validate=True)
        named = _decode_event(event).type
    except (msgspec.MsgspecError, binascii.Error, UnicodeDecodeError) as exc:
        raise CodecError("a frame of the event stream holds no event of Anthropic's") from exc
    # JSON text has no raw line break inside, but may have one around it.
    return encode_event(event.strip().replace(b"\r", b" ").replace(b"\n", b" "), named)


def _failed(frame: Frame) -> bytes:
    name = frame.headers.get(":exception-type") or frame.headers.get(":error-code", "")
    try:
        message = _decode_exception(frame.payload).message
    except (msgspec.MsgspecError, UnicodeDecodeError):
        message = ""
    error = {
        "type": _ERROR_TYPES.get(name, "api_error"),
        "message": message or frame.headers.get(":error-message") or name,
        "details": {"upstream": {"name": name}},
    }
    return encode_event(msgspec.json.encode({"type": "error", "error": error}), "error")


class InvokeFramer:
    """The way back: feed Anthropic's server-sent events, get frames. Pings are left out: AWS has none."""

    __slots__ = ("_events",)

    def __init__(self) -> None:
        self._events = SseDecoder()

    def feed(self, data: bytes) -> bytes:
        """Raises CodecError on one event of absurd length."""
        return b"".join([_framed(event.event, event.data) for event in self._events.feed(data)])


def _framed(name: str, data: bytes) -> bytes:
    if name == "ping":
        return b""
    if name == "error":
        try:
            error = _decode_error_event(data).error
        except (msgspec.MsgspecError, UnicodeDecodeError):
            error = _NamedError(message=data.decode("utf-8", "replace"))
        exception = ERROR_NAMES.get(error.type, "internalServerException")
        return encode_exception_frame(exception, msgspec.json.encode({"message": error.message}))
    return encode_event_frame(
        "chunk", msgspec.json.encode({"bytes": base64.b64encode(data).decode("ascii")})
    )
