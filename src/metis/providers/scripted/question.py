"""A request as a script looks at it: which operation it asks for, and whether a reply is for it."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

from metis.errors import CodecError
from metis.ir.request import Request
from metis.providers.scripted.echo import last_tool_results, last_user_text
from metis.providers.scripted.script import Operation, When
from metis.wire import SHAPES
from metis.wire.codec import Shape
from metis.wire.effective_tools import effective_tools

_V1: Final = "/v1"
_BY_PATH: Final = {path: shape for shape in SHAPES for path in shape.paths}
_SHAPE_NAMED: Final = {shape.name: shape for shape in SHAPES}
# Operations beside the generation of each shape, and the shape whose errors they speak.
_OTHERS: Final[dict[str, tuple[Operation, str]]] = {
    "/messages/count_tokens": ("count_tokens", "anthropic_messages"),
    "/embeddings": ("embeddings", "openai_chat"),
    "/completions": ("completions", "openai_chat"),
}


@dataclass(frozen=True, slots=True)
class Question:
    """A request as far as `When` looks at it. `request` is None where there is no conversation."""

    operation: Operation
    shape: Shape
    body: bytes
    fields: dict[str, Any]
    request: Request | None

    @property
    def model(self) -> str:
        return str(self.fields.get("model", ""))

    @property
    def stream(self) -> bool:
        return self.fields.get("stream") is True


def meant(path: str) -> tuple[Operation, Shape | None]:
    """The operation of a path such as `/v1/messages`, and the shape its errors speak; None: no such path."""
    bare = path.partition("?")[0].removeprefix(_V1)
    if bare in _BY_PATH:
        return "generate", _BY_PATH[bare]
    if bare in _OTHERS:
        operation, shape = _OTHERS[bare]
        return operation, _SHAPE_NAMED[shape]
    return "generate", None


def asked(operation: Operation, shape: Shape, body: bytes) -> Question:
    """Raises CodecError on a body that is not what the path's shape says."""
    try:
        fields = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise CodecError(f"the body is no JSON object: {exc}") from exc
    talks = operation in ("generate", "count_tokens")
    request = shape.decode_request(body) if talks else None
    return Question(operation, shape, body, fields, request)


def fits(when: When, question: Question) -> bool:
    """Whether all that `when` names holds."""
    request = question.request
    if when.operation != question.operation or not fnmatchcase(question.model, when.model):
        return False
    if when.shape and when.shape != question.shape.name:
        return False
    if when.body.encode() not in question.body:
        return False
    if when.stream is not None and when.stream != question.stream:
        return False
    if request is None:
        return when.user.encode() in question.body and not when.tools and not when.tool_result
    if when.user not in last_user_text(request):
        return False
    if when.tools is not None and when.tools != bool(effective_tools(request)):
        return False
    return when.tool_result is None or when.tool_result == bool(last_tool_results(request))
