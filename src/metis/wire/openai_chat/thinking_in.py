"""The reasoning of a chat stream: fields of deltas to Thinking blocks. What the fields mean is in `reasoning`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from metis.ir.content import Thinking
from metis.ir.stream import BlockStart, BlockStop, SignatureDelta, StreamEvent, ThinkingDelta
from metis.wire.codec import FOREIGN_SIGNATURE
from metis.wire.openai_chat.fields import Object, dump_text
from metis.wire.openai_chat.parts import SHAPE
from metis.wire.openai_chat.reasoning import (
    ANTHROPIC,
    ANTHROPIC_FORMAT,
    RESPONSES,
    RESPONSES_FORMAT,
    decode_details,
)

_FIELDS = (("reasoning_content", None), ("reasoning", '{"field":"reasoning"}'))
_TEXT_KEYS = {"reasoning.text": "text", "reasoning.summary": "summary"}


@dataclass(slots=True)
class _Open:
    """The block that is being filled. `beside` gathers what stands beside a chat upstream's own text."""

    index: int
    key: tuple[object, ...]
    origin: str
    beside: Object | None
    said: list[str] = field(default_factory=list[str])


class ThinkingReader:
    """One block at a time: details of one (type, format, index), one text field, or one run of blocks."""

    def __init__(self) -> None:
        self._open: _Open | None = None

    def wants(self, delta: Object) -> bool:
        """Whether the delta says any reasoning."""
        return bool(
            delta.get("reasoning_details")
            or delta.get("reasoning_content")
            or delta.get("reasoning")
        )

    def read(self, delta: Object, next_index: int, events: list[StreamEvent]) -> int:
        """Turn the delta's reasoning into events; gives the next free block index."""
        details = delta.get("reasoning_details")
        told = False
        for entry in cast(list[Any], details) if isinstance(details, list) else ():
            if isinstance(entry, dict) and isinstance(cast(Object, entry).get("type"), str):
                next_index, spoke = self._detail(cast(Object, entry), next_index, events)
                told = told or spoke
        if told:
            return next_index
        for name, signature in _FIELDS:
            text = delta.get(name)
            if isinstance(text, str) and text:
                beside = None if signature is None else {"field": "reasoning"}
                return self._grow((name,), SHAPE, text, beside, next_index, events)
        return next_index

    def read_block(self, block: Object, next_index: int, events: list[StreamEvent]) -> int:
        """One of Mistral's thinking blocks."""
        chunks = block.get("thinking")
        text = "".join(
            str(cast(Object, chunk).get("text", ""))
            for chunk in (cast(list[Any], chunks) if isinstance(chunks, list) else ())
            if isinstance(chunk, dict)
        )
        beside = {key: value for key, value in block.items() if key != "thinking"}
        return self._grow(("thinking",), SHAPE, text, beside, next_index, events)

    def close(self, events: list[StreamEvent]) -> None:
        block = self._open
        if block is None:
            return
        if block.beside is not None:
            events.append(SignatureDelta(block.index, dump_text(block.beside)))
        events.append(BlockStop(block.index))
        self._open = None

    def _detail(self, item: Object, next_index: int, events: list[StreamEvent]) -> tuple[int, bool]:
        """(next free index, whether it held text)."""
        form, kind = item.get("format"), str(item["type"])
        text = item.get(_TEXT_KEYS.get(kind, ""))
        text = text if isinstance(text, str) else ""
        signature = item.get("signature")
        signature = signature if isinstance(signature, str) else ""
        if kind == "reasoning.encrypted" or signature.startswith(FOREIGN_SIGNATURE):
            return self._whole(item, next_index, events), False
        key = (kind, form, item.get("index"))
        if form == ANTHROPIC_FORMAT and kind == "reasoning.text":
            next_index = self._grow(key, ANTHROPIC, text, None, next_index, events)
            if signature and self._open is not None:
                events.append(SignatureDelta(self._open.index, signature))
        elif form == RESPONSES_FORMAT and kind in _TEXT_KEYS:
            next_index = self._grow(key, RESPONSES, text, None, next_index, events)
        else:
            left_out = {_TEXT_KEYS.get(kind, ""), "" if signature else "signature"}
            beside = {name: value for name, value in item.items() if name not in left_out}
            next_index = self._grow(key, SHAPE, text, beside, next_index, events)
        return next_index, bool(text)

    def _grow(
        self,
        key: tuple[object, ...],
        origin: str,
        text: str,
        beside: Object | None,
        next_index: int,
        events: list[StreamEvent],
    ) -> int:
        block = self._open
        if block is None or block.key != key:
            self.close(events)
            block = self._open = _Open(next_index, key, origin, beside)
            summary = origin == RESPONSES and key[0] == "reasoning.summary"
            part = Thinking(origin=origin, summary=summary)
            events.append(BlockStart(index=block.index, part=part))
            next_index += 1
        elif beside is not None:
            block.beside = {**(block.beside or {}), **beside}
        if text:
            block.said.append(text)
            events.append(ThinkingDelta(block.index, text))
        return next_index

    def _whole(self, item: Object, next_index: int, events: list[StreamEvent]) -> int:
        """A detail that comes in one piece. The proof of an open Responses text belongs to that block."""
        thinking = (decode_details([item]) or [Thinking(origin=SHAPE)])[0]
        thinking = msgspec.structs.replace(thinking, extras={})
        block = self._open
        if block is not None and block.origin == thinking.origin == RESPONSES:
            plain, text = block.key[0] == "reasoning.text", "".join(block.said)
            whole = msgspec.structs.replace(
                thinking,
                text=text,
                summary=not plain,
                summary_parts=() if plain or not text else (text,),
            )
            events.append(SignatureDelta(block.index, thinking.signature or ""))
            events.append(BlockStop(block.index, whole))
            self._open = None
            return next_index
        self.close(events)
        opened = thinking
        if not thinking.redacted:
            opened = msgspec.structs.replace(thinking, signature=None, text="")
        events.append(BlockStart(index=next_index, part=opened))
        if not thinking.redacted:
            if thinking.text:
                events.append(ThinkingDelta(next_index, thinking.text))
            if thinking.signature is not None:
                events.append(SignatureDelta(next_index, thinking.signature))
        events.append(BlockStop(next_index, thinking))
        return next_index + 1
