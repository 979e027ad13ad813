"""What the ledger needs of a chat answer, read with typed decoding and without IR. Streams are watched by `tap`.

Types are wide on purpose: a field of an unexpected type in one place must not hide the usage in another.
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from metis.wire.codec import ResponseFacts
from metis.wire.openai_chat.errors import error_of
from metis.wire.openai_chat.fields import Object
from metis.wire.openai_chat.finish import stop_of
from metis.wire.openai_chat.usage import TypedUsage, plain_usage, usage_of

_NO_CALLS: Final[list[Any]] = []


class Said(msgspec.Struct):
    """A message or a delta, as far as it counts."""

    content: Any = None
    refusal: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    tool_calls: Any = None
    function_call: Any = None

    def characters(self, calls: list[Any]) -> int:
        """Of what the model said: text, refusal, reasoning (once, where two fields repeat it) and arguments."""
        content = self.content
        said = len(content) if isinstance(content, str) else _length(content)
        if self.refusal is not None:
            said += _length(self.refusal)
        if self.reasoning_content is not None or self.reasoning is not None:
            said += _length(self.reasoning_content) or _length(self.reasoning)
        for call in calls:
            said += _arguments_length(call)
        return said

    def calls(self) -> list[Any]:
        if self.tool_calls is None and self.function_call is None:
            return _NO_CALLS
        calls = cast(list[Any], self.tool_calls) if isinstance(self.tool_calls, list) else []
        if isinstance(self.function_call, dict) and cast(Object, self.function_call).get("name"):
            return [*calls, {"function": self.function_call}]
        return calls


_SAID_NOTHING: Final = Said()


class ChoiceFacts(msgspec.Struct):
    index: Any = None
    finish_reason: Any = None
    message: Said | None = None
    delta: Said | None = None


class AnswerFacts(msgspec.Struct):
    """A whole answer or one chunk."""

    id: Any = None
    model: Any = None
    usage: dict[str, Any] | None = None
    x_groq: Any = None
    choices: list[ChoiceFacts] | None = None
    service_tier: Any = None
    error: Any = None


class _WholeMessage(msgspec.Struct):
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None


class _WholeChoice(msgspec.Struct):
    finish_reason: str | None = None
    message: _WholeMessage | None = None


class _WholeAnswer(msgspec.Struct):
    """A whole answer as nearly all are: with its usage, so that what was said need not be counted."""

    usage: TypedUsage
    choices: list[_WholeChoice]
    id: str = ""
    model: str = ""
    service_tier: str | None = None
    error: Any = None


_DECODER = msgspec.json.Decoder(AnswerFacts)
_decode_whole = msgspec.json.Decoder(_WholeAnswer).decode


def read_answer(body: bytes | memoryview) -> AnswerFacts | None:
    """None for what is no JSON object of about this form."""
    try:
        return _DECODER.decode(body)
    except (ValueError, RecursionError):
        return None


def facts_of(body: bytes) -> ResponseFacts:
    """Never raises: of a body that is no chat answer the facts stay empty, and `complete` False.

    `output_characters` is counted only where there is no usage to go by.
    """
    return _common_facts(body) or _counted_facts(body)


def _common_facts(body: bytes) -> ResponseFacts | None:
    """The facts of a text answer with usage as OpenAI writes it; None where there is more to it."""
    try:
        answer = _decode_whole(body)
    except (ValueError, RecursionError):
        return None
    usage, choices = plain_usage(answer.usage), answer.choices
    if usage is None or len(choices) != 1 or answer.error:
        return None
    message, reason = choices[0].message, choices[0].finish_reason
    if message is None or message.tool_calls or message.function_call or message.refusal:
        return None
    reason = reason or ""
    return ResponseFacts(
        response_id=answer.id,
        model=answer.model,
        usage=usage,
        stop=stop_of(reason, called_tools=False),
        stop_raw=reason,
        service_tier=answer.service_tier or "",
        complete=True,
    )


def _counted_facts(body: bytes) -> ResponseFacts:
    answer = read_answer(body)
    if answer is None:
        return ResponseFacts()
    choices = answer.choices
    facts = ResponseFacts(complete=choices is not None)
    note_answer(facts, answer)
    for choice in reversed(choices or ()):  # the first choice's reason is the one that stays
        message, reason = choice.message or _SAID_NOTHING, choice.finish_reason
        calls = message.calls()
        facts.tool_calls += len(calls)
        facts.output_characters += message.characters(calls)
        facts.stop_raw = reason if isinstance(reason, str) else ""
        facts.stop = stop_of(
            facts.stop_raw, called_tools=bool(calls), refused=bool(message.refusal)
        )
    return facts


def note_answer(facts: ResponseFacts, answer: AnswerFacts) -> None:
    """Put down id, model, tier, usage and error, where the answer or chunk tells them."""
    if not facts.response_id and isinstance(answer.id, str):
        facts.response_id = answer.id
    if not facts.model and isinstance(answer.model, str):
        facts.model = answer.model
    if answer.service_tier and isinstance(answer.service_tier, str):
        facts.service_tier = answer.service_tier
    usage = answer.usage
    if not usage and isinstance(answer.x_groq, dict):
        usage = cast(Object, answer.x_groq).get("usage")
    if usage and isinstance(usage, dict):
        facts.usage = usage_of(cast(Object, usage))
    if answer.error:
        facts.error = error_of(0, {"error": answer.error})


def _length(value: object) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):  # Mistral's parts: their text, however deep
        return sum(_part_length(part) for part in cast(list[Any], value))
    return 0


def _part_length(part: object) -> int:
    if not isinstance(part, dict):
        return 0
    fields = cast(Object, part)
    text = fields.get("text")
    return len(text) if isinstance(text, str) else _length(fields.get("thinking"))


def _arguments_length(call: object) -> int:
    if not isinstance(call, dict):
        return 0
    fields = cast(Object, call)
    inner = fields.get("function") or fields.get("custom")
    if not isinstance(inner, dict):
        return 0
    held = cast(Object, inner)
    return _length(held.get("arguments")) + _length(held.get("input"))
