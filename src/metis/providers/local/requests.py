"""What a Chat Completions body must say for llama.cpp's server to do what the client asked for.

Measured: see docs/embedded.md. Only the fields named here are touched, and of a list its entries stay
as they came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import msgspec

from metis.errors import BadRequest
from metis.providers.local.errors import LARGER_MODEL
from metis.providers.provider import FieldEdit, Provider
from metis.wire.splice import Fields

# The last is the server's own field; it wins over the other two.
_LIMITS: Final = ("max_tokens", "max_completion_tokens", "n_predict")
# What opens a call in the model's chat template: begun so, the answer can only be a call.
_OPENED_CALL: Final = "<tool_call>\n"
_UNREADABLE: Final = {
    "image_url": "an image",
    "input_audio": "audio",
    "file": "a file",
    "video_url": "a video",
    "input_video": "a video",
}
_MARKS: Final = tuple(kind.encode() for kind in _UNREADABLE)


def edits(
    provider: Provider, operation: str, fields: Fields, headers: Mapping[bytes, bytes]
) -> tuple[FieldEdit, ...]:
    """What to change in a body; `operation` is "completions" or one that takes a conversation.

    Raises BadRequest on images, audio, videos and files, on an empty conversation, and on a forced tool
    that is not there.
    """
    limits = tuple(_limits(provider, fields))
    if operation == "completions":
        return limits
    _refuse_the_unreadable(provider, fields)
    return (*limits, *_tool_edits(fields))


def _limits(provider: Provider, fields: Fields) -> Iterator[FieldEdit]:
    """The server takes any limit, and a small model may run on to the end of its window."""
    most = provider.max_output_tokens
    if not most:
        return
    value = b"%d" % most
    why = f"the embedded model answers in at most {most} tokens"
    named = False
    for name in _LIMITS:
        limit = _decoded(fields, name)
        if limit is None:
            continue
        named = True
        if isinstance(limit, int | float) and not 0 <= limit <= most:
            yield FieldEdit(name, value, why)
    if not named:
        yield FieldEdit("max_tokens", value, why)


def _refuse_the_unreadable(provider: Provider, fields: Fields) -> None:
    raw = fields.get("messages")
    if raw is None:
        return
    text = bytes(raw)
    if not text.strip(b"[] \t\r\n"):
        raise BadRequest("messages is empty; it must hold at least one message")
    if not any(mark in text for mark in _MARKS):
        return
    messages = _decoded(fields, "messages")
    for position, message in enumerate(_objects(messages)):
        for part in _objects(message.get("content")):
            found = _UNREADABLE.get(str(part.get("type")))
            if found is not None:
                raise BadRequest(
                    f"messages[{position}] holds {found}, and the embedded model "
                    f"({provider.name}/{provider.kind.default_model}) reads text alone: "
                    f"leave it out; {LARGER_MODEL}"
                )


class _Named(msgspec.Struct, frozen=True):
    name: str = ""


class _Tool(msgspec.Struct, frozen=True):
    type: str = "function"
    function: _Named = _Named()


def _tool_edits(fields: Fields) -> tuple[FieldEdit, ...]:
    """One call with arguments of the schema where one is forced, and no tool of a kind unknown here."""
    raw = fields.get("tools")
    try:
        slices = msgspec.json.decode(raw, type=list[msgspec.Raw]) if raw is not None else []
        tools = [(msgspec.json.decode(entry, type=_Tool), bytes(entry)) for entry in slices]
    except msgspec.DecodeError:
        return ()  # nonsense is the server's to refuse
    known = [(tool.function.name, text) for tool, text in tools if tool.type == "function"]
    forced, names = _choice(_decoded(fields, "tool_choice"))
    kept = [text for name, text in known if names is None or name in names]
    if forced and names and not kept:
        raise BadRequest(f"tool_choice names {', '.join(sorted(names))}, which is not in tools")
    found: list[FieldEdit] = []
    if len(kept) < len(tools):
        why = "only those that the choice allows" if names is not None else "functions alone"
        found.append(FieldEdit("tools", b"[%b]" % b",".join(kept), why))
    if not (forced and kept):
        return tuple(found)
    why = "so that the embedded model calls a tool, and one alone"
    found.append(FieldEdit("tool_choice", b'"required"', why))
    found.append(FieldEdit("parallel_tool_calls", b"false", why))
    found += _opened_call(fields, why)
    if "response_format" in fields:
        found.append(FieldEdit("response_format", b'{"type":"text"}', "not beside a forced tool"))
    return tuple(found)


def _choice(value: object) -> tuple[bool, frozenset[str] | None]:
    """Whether a call is forced, and which tools the choice leaves (None: all)."""
    if not isinstance(value, dict):
        return value == "required", None
    choice = cast("dict[str, Any]", value)
    kind = str(choice.get("type"))
    inner = choice.get(kind)
    told = cast("dict[str, Any]", inner) if isinstance(inner, dict) else {}
    if kind == "allowed_tools":
        allowed = {
            str(cast("dict[str, Any]", tool.get("function")).get("name"))
            for tool in _objects(told.get("tools"))
            if isinstance(tool.get("function"), dict)
        }
        return told.get("mode") == "required", frozenset(allowed)
    return True, frozenset({str(told.get("name"))})


def _opened_call(fields: Fields, why: str) -> list[FieldEdit]:
    """The conversation with a begun call at its end, put onto a begun answer where there is one."""
    raw = fields.get("messages")
    try:
        slices = msgspec.json.decode(raw, type=list[msgspec.Raw]) if raw is not None else []
        last = msgspec.json.decode(slices[-1], type=dict[str, Any]) if slices else {}
    except msgspec.DecodeError:
        return []
    if last.get("role") == "assistant" and "tool_calls" not in last:
        said = last.get("content")
        begun = said if isinstance(said, str) else _text_of(said)
        content = f"{begun}\n{_OPENED_CALL}" if begun else _OPENED_CALL
        slices = slices[:-1]
    else:
        content = _OPENED_CALL
    opened = msgspec.json.encode({"role": "assistant", "content": content})
    messages = b",".join([*(bytes(entry) for entry in slices), opened])
    return [FieldEdit("messages", b"[%b]" % messages, why)]


def _text_of(content: object) -> str:
    return "".join(str(part.get("text") or "") for part in _objects(content))


def _objects(value: object) -> list[dict[str, Any]]:
    entries = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", entry) for entry in entries if isinstance(entry, dict)]


def _decoded(fields: Fields, name: str) -> Any:
    """A field's value; None when it is absent, null or no JSON."""
    raw = fields.get(name)
    try:
        return msgspec.json.decode(raw) if raw is not None else None
    except msgspec.DecodeError:
        return None
