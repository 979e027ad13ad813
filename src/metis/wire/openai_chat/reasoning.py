"""Private reasoning in chat messages: `reasoning_content`, `reasoning`, `reasoning_details`, Mistral's thinking blocks.

The chat shape of OpenAI has no field for reasoning; others added theirs. `reasoning_details` is
OpenRouter's (https://openrouter.ai/docs/use-cases/reasoning-tokens): `reasoning.text` with a
signature, `reasoning.summary`, `reasoning.encrypted`, each with a `format` that names whose proof it
is. It is how thinking of another shape rides through a chat client and comes back.

A Thinking whose proof only a chat upstream reads has origin `openai_chat`; its signature is the JSON
of all that stood beside the text (the detail without its text, `{"field": "reasoning"}`, or None for
`reasoning_content`), so it also survives a conversation held in another shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from metis.errors import CodecError
from metis.ir.content import Thinking
from metis.wire.carry import unwrap, wrap
from metis.wire.codec import FOREIGN_SIGNATURE
from metis.wire.openai_chat.accumulated import as_told
from metis.wire.openai_chat.fields import Fields, Object, dump_text, load
from metis.wire.openai_chat.parts import SHAPE

ANTHROPIC, RESPONSES = "anthropic_messages", "openai_responses"
ANTHROPIC_FORMAT, RESPONSES_FORMAT = "anthropic-claude-v1", "openai-responses-v1"
_FORMATS = {ANTHROPIC: ANTHROPIC_FORMAT, RESPONSES: RESPONSES_FORMAT}
TEXT_KEYS = {"reasoning.text": "text", "reasoning.summary": "summary"}
_LEFTOVERS = "reasoning_details"  # extras key: details that are not as this module would write them


def detail(kind: str, origin: str, index: int) -> Object:
    """A detail's frame as this gateway writes it; text and proof are added by the caller."""
    return {"type": kind, "format": _FORMATS.get(origin, "unknown"), "index": index}


def decode_details(value: object) -> list[Thinking] | None:
    """The Thinking parts of a `reasoning_details` list; None when it is no list of typed objects."""
    if not isinstance(value, list):
        return None
    entries: list[Object] = []
    for entry in cast(list[Any], value):
        if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):  # pyright: ignore[reportUnknownMemberType]  # untyped JSON
            return None
        entries += as_told(cast(Object, entry), (ANTHROPIC_FORMAT, RESPONSES_FORMAT))
    found: list[Thinking] = []
    pending: list[Object] = []  # texts that wait for the proof they belong to
    for item in entries:
        if item.get("format") == RESPONSES_FORMAT and item["type"] in TEXT_KEYS:
            pending.append(item)
            continue
        if pending and not _is_responses_proof(item):
            found.append(_responses_thinking(pending, None, len(found)))
            pending = []
        if _is_responses_proof(item):
            found.append(_responses_thinking(pending, item, len(found)))
            pending = []
        else:
            found.append(_single_thinking(item, len(found)))
    if pending:
        found.append(_responses_thinking(pending, None, len(found)))
    return found


def _is_responses_proof(item: Object) -> bool:
    return (
        item.get("format") == RESPONSES_FORMAT
        and item["type"] == "reasoning.encrypted"
        and isinstance(item.get("data"), str)
    )


def _responses_thinking(texts: Sequence[Object], proof: Object | None, index: int) -> Thinking:
    """One reasoning item: its summaries, its plain text and its encrypted content, each where there is one."""
    leftovers: list[Object] = []
    summaries: list[str] = []
    plain: list[str] = []
    for item in texts:
        fields = Fields(item, strict=False)
        said = fields.filled_text(TEXT_KEYS[str(item["type"])]) or ""
        (summaries if item["type"] == "reasoning.summary" else plain).append(said)
        leftovers.append(fields.rest)
    signature = item_id = None
    if proof is not None:
        fields = Fields(proof, strict=False)
        signature, item_id = fields.text("data"), fields.filled_text("id")
        leftovers.append(fields.rest)
    return _canonical(
        Thinking(
            text="\n\n".join(plain or summaries),
            summary=not plain,
            summary_parts=tuple(summaries),
            signature=signature,
            item_id=item_id,
            origin=RESPONSES,
        ),
        leftovers,
        index,
    )


def _single_thinking(item: Object, index: int) -> Thinking:
    fields = Fields(item, strict=False)
    kind = str(item["type"])
    if item.get("format") == ANTHROPIC_FORMAT and kind == "reasoning.text":
        text, signature = fields.filled_text("text") or "", fields.filled_text("signature")
        thinking = Thinking(text=text, signature=signature, origin=ANTHROPIC)
        return _canonical(thinking, [fields.rest], index)
    if item.get("format") == ANTHROPIC_FORMAT and kind == "reasoning.encrypted":
        data = fields.filled_text("data")
        thinking = Thinking(signature=data, redacted=True, origin=ANTHROPIC)
        return _canonical(thinking, [fields.rest], index)
    text = fields.filled_text(TEXT_KEYS.get(kind, "")) or ""
    carried = item.get("signature")
    if isinstance(carried, str) and carried.startswith(FOREIGN_SIGNATURE):
        thinking = unwrap(carried, Thinking(text=text))
        if thinking is not None:
            return thinking
    return Thinking(text=text, signature=dump_text(fields.rest), origin=SHAPE)


def _canonical(thinking: Thinking, leftovers: list[Object], index: int) -> Thinking:
    """Keep the leftovers only where writing the part again would not give them."""
    frames = [_frame(item) for item in _canonical_details(thinking, index)]
    if frames == leftovers:
        return thinking
    return msgspec.structs.replace(thinking, extras={_LEFTOVERS: leftovers})


def _frame(item: Object) -> Object:
    return {key: item[key] for key in ("type", "format", "index") if key in item}


def _canonical_details(thinking: Thinking, index: int) -> list[Object]:
    origin = thinking.origin
    if thinking.redacted:
        return [{**detail("reasoning.encrypted", origin, index), "data": thinking.signature or ""}]
    if origin == RESPONSES:
        return _responses_details(thinking, index)
    item = detail("reasoning.text", origin, index)
    if thinking.text:
        item["text"] = thinking.text
    if thinking.signature is not None:
        item["signature"] = thinking.signature if origin == ANTHROPIC else wrap(thinking)
    return [item]


def _responses_details(thinking: Thinking, index: int) -> list[Object]:
    summaries = thinking.summary_parts
    if thinking.summary and thinking.text and not summaries:
        summaries = (thinking.text,)
    out = [{**detail("reasoning.summary", RESPONSES, index), "summary": text} for text in summaries]
    if not thinking.summary and thinking.text:
        out.append({**detail("reasoning.text", RESPONSES, index), "text": thinking.text})
    if thinking.signature is not None:
        out.append(proof_detail(thinking, index))
    return out


def proof_detail(thinking: Thinking, index: int) -> Object:
    """The detail that carries a proof of OpenAI Responses: encrypted content and the item's id."""
    item = {**detail("reasoning.encrypted", RESPONSES, index), "data": thinking.signature or ""}
    if thinking.item_id:
        item["id"] = thinking.item_id
    return item


def details_of(thinking: Thinking, index: int) -> list[Object]:
    """The `reasoning_details` entries of one Thinking part; `index` is its place among them."""
    beside = beside_text(thinking)
    if beside is not None:
        kind = str(beside.get("type", ""))
        if not kind.startswith("reasoning."):
            return []
        return [{**beside, **({TEXT_KEYS[kind]: thinking.text} if thinking.text else {})}]
    if thinking.origin in (SHAPE, ""):
        return []
    leftovers = cast("list[Object] | None", thinking.extras.get(_LEFTOVERS))
    written = _canonical_details(thinking, index)
    if leftovers is None or len(leftovers) != len(written):
        return written
    return [
        {**{key: value for key, value in item.items() if key not in _frame(item)}, **kept}
        for item, kept in zip(written, leftovers, strict=True)
    ]


def beside_text(thinking: Thinking) -> Object | None:
    """What stood beside a chat upstream's reasoning text; None for bare `reasoning_content`."""
    if thinking.origin != SHAPE or thinking.signature is None:
        return None
    try:
        value = load(thinking.signature.encode("utf-8", "replace"), "signature")
    except CodecError:
        return None
    return cast(Object, value) if isinstance(value, dict) else None


def decode_block(item: Object) -> Thinking | None:
    """Mistral's `{"type": "thinking", "thinking": [{"type": "text", ...}]}`; None when it is not of that form."""
    chunks = item.get("thinking")
    if not isinstance(chunks, list) or not chunks:
        return None
    texts: list[str] = []
    for chunk in cast(list[Any], chunks):
        if not isinstance(chunk, dict) or set(cast(Object, chunk)) != {"type", "text"}:
            return None
        typed = cast(Object, chunk)
        if typed["type"] != "text" or not isinstance(typed["text"], str):
            return None
        texts.append(typed["text"])
    beside = {key: value for key, value in item.items() if key != "thinking"}
    return Thinking(
        text="".join(texts),
        summary_parts=tuple(texts) if len(texts) > 1 else (),
        signature=dump_text(beside),
        origin=SHAPE,
    )


def block_of(thinking: Thinking) -> Object | None:
    """The content block of a Thinking that came as one, else None."""
    beside = beside_text(thinking)
    if beside is None or beside.get("type") != "thinking":
        return None
    texts = thinking.summary_parts or (thinking.text,)
    return {**beside, "thinking": [{"type": "text", "text": text} for text in texts]}


@dataclass(slots=True)
class Spoken:
    """The reasoning fields of one message, as they are written."""

    content: list[str] = field(default_factory=list[str])
    reasoning: list[str] = field(default_factory=list[str])
    details: list[Object] = field(default_factory=list[Object])

    def into(self, out: Object) -> None:
        if self.content:
            out["reasoning_content"] = "\n\n".join(self.content)
        if self.reasoning:
            out["reasoning"] = "\n\n".join(self.reasoning)
        if self.details:
            out["reasoning_details"] = self.details


def speak(thinkings: Sequence[Thinking]) -> Spoken:
    """Each Thinking in the field it came in (or, of another shape, as a detail); content blocks are not here."""
    spoken = Spoken()
    index = 0
    for thinking in thinkings:
        beside = beside_text(thinking)
        if beside is not None and beside.get("type") == "thinking":
            continue
        details = details_of(thinking, index)
        if details:
            spoken.details.extend(details)
            index += 1
        elif beside is not None and beside.get("field") == "reasoning":
            spoken.reasoning.append(thinking.text)
        elif thinking.text:
            spoken.content.append(thinking.text)
    return spoken


def take_reasoning(fields: Fields) -> list[Thinking]:
    """The Thinking parts of a message's reasoning fields; repetitions of the same text stay in `rest`."""
    found: list[Thinking] = []
    if fields.rest.get("reasoning_details"):
        details = decode_details(fields.rest["reasoning_details"])
        if details is not None:
            del fields.rest["reasoning_details"]
            found.extend(details)
    if any(thinking.text for thinking in found):
        return found
    for name, signature in (("reasoning_content", None), ("reasoning", '{"field":"reasoning"}')):
        if isinstance(fields.rest.get(name), str) and fields.rest[name]:
            text = str(fields.rest.pop(name))
            return [Thinking(text=text, signature=signature, origin=SHAPE), *found]
    return found
