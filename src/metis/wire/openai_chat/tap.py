"""Watching a chat stream go by, byte for byte, and leaving out the usage chunk nobody but the gateway asked for.

This is the hot path. A chunk that differs from an earlier ordinary one in nothing but its text (and
padding) is told by comparing what stands around the text; other ordinary chunks by a few searches for
byte strings. Neither is parsed.
What counts is parsed: the first chunks (id and model), tool calls, finish reasons, usage, errors and
the terminator. `"usage":null` on ordinary chunks, which the asked-for usage brings with it, stays: the
bytes are relayed as they came.

An event that is not whole yet is held back only under `strip_usage`, and only while nothing in it
says that it has choices; then its first bytes, and those of no other event, wait for the rest.
"""

from __future__ import annotations

import re
from typing import cast

from metis.wire.codec import ResponseFacts
from metis.wire.openai_chat.facts import AnswerFacts, Said, note_answer, read_answer, stop_of
from metis.wire.openai_chat.fields import Object

# An event ends at an empty line; lines end in LF, CRLF or CR.
_EVENT_END = re.compile(rb"\n\r?\n|\r\r\n?")
_HAS_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*[^\]\s]')
_REFUSAL = b'refusal":"'
_SPOKEN = (
    b'content":"',
    b'reasoning":"',
    b'arguments":"',
    _REFUSAL,
)  # the first ends reasoning_content
# For servers that write spaces, and for Mistral's content in lists.
_SAID = re.compile(rb'(?:content|reasoning|text)": ?"((?:[^"\\]|\\.)*)')
_BACKSLASH = ord("\\")

# An opening that no event has, until one is learnt; learning is for streams whose chunks look alike.
_NOTHING_YET = b"\0"
_LESSONS = 16
_PADDED_END = b'"}\n\n'
_PADDING = (
    b'"obfuscation":"'  # OpenAI's padding against traffic analysis: other letters in each chunk
)

# Beyond this an unfinished event is relayed unseen: no chunk of interest is so long.
MAX_TAIL_BYTES = 4 * 1024 * 1024
# A chunk of usage is never so long: what grows beyond it is sent on, and not searched again with every piece.
_MOST_HELD_BYTES = 64 * 1024
_SEAM = 3  # the longest end of an event
_NAMING_CHUNKS = (
    4  # id and model stand in the first chunk, behind Azure's filter results in the second
)


class ChatTap:
    """See `metis.wire.codec.StreamTap`. Never raises; what cannot be parsed is relayed."""

    __slots__ = (
        "_calls",
        "_closing",
        "_closing_size",
        "_held",
        "_lessons",
        "_naming",
        "_opening",
        "_opening_size",
        "_padded",
        "_refused",
        "_seam",
        "_strip",
        "_tail",
        "_tail_size",
        "at_boundary",
        "facts",
    )

    def __init__(self, strip_usage: bool) -> None:  # the registry's signature
        self.facts = ResponseFacts()
        self.at_boundary = True
        self._strip = strip_usage
        self._tail: list[bytes] = []  # pieces of the event that is not whole yet
        self._tail_size = 0
        self._seam = b""  # the tail's end: what ends an event may be split over pieces
        self._held = False  # whether none of the tail has been relayed
        self._naming = _NAMING_CHUNKS
        self._calls: dict[tuple[int, int | str], object] = {}
        self._refused = False
        self._opening = _NOTHING_YET
        self._closing = b""
        self._opening_size = self._closing_size = 0
        self._padded = False
        self._lessons = _LESSONS

    def feed(self, data: bytes) -> bytes:
        if self._tail_size:
            if not self._held and _EVENT_END.search(self._seam + data) is None:
                self._keep(data)  # inside a long event, whose beginning is relayed
                return data
            return self._slow(data)
        if data.startswith(self._opening):
            start = self._opening_size
            end = data.find(b'"', start)
            if (
                end == len(data) - self._closing_size  # one event, as nearly always
                and data.endswith(self._closing)
                and data[end - 1] != _BACKSLASH
            ):
                self.facts.output_characters += end - start
                return data
            if self._is_familiar(data):
                return data
        if data.endswith(b"\n\n") and not self._naming and _is_plain(data):
            self._count(data)
            if self._lessons:
                self._learn(data)
            return data
        return self._slow(data)

    def _is_familiar(self, data: bytes) -> bool:
        """Whether the bytes are whole events of the learnt form and nothing else; counts their text if so."""
        opening, closing = self._opening, self._closing
        position = said = 0
        while data.startswith(opening, position):
            start = position + len(opening)
            end = data.find(b'"', start)
            if end < 0 or not data.startswith(closing, end) or data[end - 1] == _BACKSLASH:
                return False
            said += end - start
            position = end + len(closing)
            if self._padded:
                position = data.find(b'"', position)
                if position < 0 or not data.startswith(_PADDED_END, position):
                    return False
                position += len(_PADDED_END)
            if position == len(data):
                self.facts.output_characters += said
                return True
        return False

    def _learn(self, data: bytes) -> None:
        """Remember what stands around the text of the first event: the next ones may differ only in that."""
        self._lessons -= 1
        event = data[: data.find(b"\n\n") + 2]
        start = event.find(_SPOKEN[0]) + len(_SPOKEN[0])
        end = event.find(b'"', start)
        if start < len(_SPOKEN[0]) or end < 0 or event[end - 1] == _BACKSLASH:
            return
        self._opening, self._closing = event[:start], event[end:]
        self._opening_size, self._closing_size = start, len(event) - end
        padding = self._closing.find(_PADDING)
        self._padded = padding >= 0
        if self._padded:
            self._closing = self._closing[: padding + len(_PADDING)]
            self._closing_size = -1  # what follows differs from event to event

    def _count(self, data: bytes) -> None:
        """Add what plain deltas say; an escape counts as the characters it is written with."""
        said = 0
        for key in _SPOKEN:
            position = data.find(key)
            while position >= 0:
                start = position + len(key)
                end = data.find(b'"', start)
                while end > 0 and data[end - 1] == _BACKSLASH:
                    end = data.find(b'"', end + 1)
                if end < 0:
                    break
                said += end - start
                if key is _REFUSAL and end > start:
                    self._refused = True
                position = data.find(key, end)
        if not said:
            said = sum(len(found) for found in _SAID.findall(data))
        self.facts.output_characters += said

    def _slow(self, data: bytes) -> bytes:
        """Split into events, look at those of interest, and hold back what may have to be left out."""
        buffer = b"".join((*self._tail, data)) if self._tail_size else data
        relayed = 0 if self._held else self._tail_size  # up to here the client has it
        kept: list[bytes] = []
        start = 0
        for found in _EVENT_END.finditer(buffer, max(0, self._tail_size - _SEAM)):
            end = found.end()
            if self._event(buffer[start:end]) and end > relayed and start >= relayed:
                kept.append(buffer[relayed:start])
                relayed = end
            start = end
        tail = buffer[start:]
        self._held = self._strip and start >= relayed and self._may_be_usage(tail)
        stop = start if self._held else len(buffer)
        self._tail.clear()
        self._tail_size, self._seam = 0, b""
        if tail:
            self._keep(tail)
        self.at_boundary = not tail or self._held
        if not kept:
            if relayed == 0 and stop == len(buffer):
                return buffer
            if relayed == len(buffer) - len(data) and stop == len(buffer):
                return data
        kept.append(buffer[relayed:stop])
        return b"".join(kept)

    def _keep(self, piece: bytes) -> None:
        """Add to the tail. Of one over its bound only the end stays: it is found, and the event goes by unseen."""
        self._tail.append(piece)
        self._tail_size += len(piece)
        self._seam = (self._seam + piece[-_SEAM:])[-_SEAM:]
        if self._tail_size > MAX_TAIL_BYTES:
            self._tail, self._tail_size = [self._seam], len(self._seam)

    def _may_be_usage(self, tail: bytes) -> bool:
        return (
            0 < len(tail) <= _MOST_HELD_BYTES
            and not tail.startswith(b":")
            and _HAS_CHOICES.search(tail) is None
        )

    def _event(self, event: bytes) -> bool:
        """Look at one whole event; says whether it is to be left out."""
        if self._naming == 0 and _is_plain(event):
            self._count(event)
            return False
        payload = _payload(event)
        if payload is None:
            return False
        if payload == b"[DONE]":
            self._done()
            return False
        if self._naming:
            self._naming -= 1
        answer = read_answer(payload)
        return answer is not None and self._note(answer)

    def _done(self) -> None:
        facts = self.facts
        facts.complete = True
        if not facts.stop_raw:  # some servers never say why
            facts.stop = stop_of("", called_tools=facts.tool_calls > 0, refused=self._refused)

    def _note(self, answer: AnswerFacts) -> bool:
        facts = self.facts
        note_answer(facts, answer)
        if facts.response_id and facts.model:
            self._naming = 0
        for choice in answer.choices or ():
            place = choice.index if isinstance(choice.index, int) else 0
            said = choice.delta or choice.message or Said()
            facts.output_characters += said.characters(said.calls())
            self._refused = self._refused or bool(said.refusal)
            if said.tool_calls or said.function_call:
                self._count_calls(place, said)
            if place == 0 and isinstance(choice.finish_reason, str) and choice.finish_reason:
                facts.stop_raw = choice.finish_reason
                facts.stop = stop_of(
                    choice.finish_reason, called_tools=facts.tool_calls > 0, refused=self._refused
                )
        return self._strip and answer.choices == [] and bool(answer.usage)

    def _count_calls(self, place: int, said: Said) -> None:
        """A call is counted once: fragments repeat its index, and some servers its id and name too."""
        for entry in said.calls():
            call = cast(Object, entry) if isinstance(entry, dict) else {}
            function = call.get("function") or call.get("custom")
            if not isinstance(function, dict) or not cast(Object, function).get("name"):
                continue
            call_id, index = call.get("id"), call.get("index")
            key = (place, index if isinstance(index, int) else str(call_id))
            if key not in self._calls or (call_id and self._calls[key] != call_id):
                self._calls[key] = call_id
                self.facts.tool_calls += 1


def _is_plain(data: bytes) -> bool:
    """Whether nothing in the bytes needs parsing. A quote inside a JSON string is escaped, so these are keys."""
    count = data.count
    usage = count(b'"usage"')
    if usage and usage != count(b'"usage":null') + count(b'"usage": null'):
        return False
    reasons = count(b'finish_reason"')
    if reasons and reasons != count(b'finish_reason":null') + count(b'finish_reason": null'):
        return False
    if b'"tool_calls"' in data and b'"name"' in data:
        return False  # a call begins; its further fragments have no name
    return not (b'"error"' in data or b"[DONE]" in data)


def _payload(event: bytes) -> bytes | None:
    """The event's data, stripped; None where it has none."""
    if event.startswith(b"data:") and event.find(b"data:", 5) < 0:
        return event[5:].strip()
    lines = [
        line[5:].strip()
        for line in re.split(rb"[\r\n]+", event.removeprefix(b"\xef\xbb\xbf"))
        if line.startswith(b"data:")
    ]
    return b"\n".join(lines) if lines else None


def tap(strip_usage: bool) -> ChatTap:  # the registry's signature
    return ChatTap(strip_usage)
