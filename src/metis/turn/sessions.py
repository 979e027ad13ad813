"""Which conversation a request belongs to: the client's own id, else the hash chain of its messages.

Memory-only, bounded, scoped by key. Hashes are keyed with a secret of the worker's (promise P7), and leave it
nowhere: they are Python's own, 64 bits of SipHash, which is what a table in memory needs.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Final

import msgspec

from metis.errors import CodecError
from metis.facts.ids import IdFactory
from metis.wire.splice import Fields

_SAMPLE: Final = 256  # bytes
_SHORT: Final = 4096  # bytes
_MAX_KEPT: Final = 20_000
_LOOK_BACK: Final = (
    12  # messages a client may add in one go: an answer, its tool results, a reminder
)
_CACHE_MARK: Final = re.compile(rb',?\s*"cache_control"\s*:\s*(?:null|\{[^{}]*\})')
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_LIST_FIELDS: Final = ("messages", "input")
_PREAMBLES: Final = ("system", "instructions")


class SessionBook:
    """Remember sessions and their last turn. One per worker."""

    def __init__(self, secret: bytes, ids: IdFactory) -> None:
        self._secret = secret
        self._ids = ids
        # Both forget what was not touched for longest: a touched entry is moved to the end.
        self._by_prefix: OrderedDict[int, str] = OrderedDict()
        self._last_turn: OrderedDict[tuple[str, str], str] = OrderedDict()

    def recognise(self, scope: tuple[str, str], fields: Fields, messages: list[msgspec.Raw]) -> str:
        """The session whose messages this request continues, or a new one's id.

        `scope` is the key's id and the client: two tools that begin with the same words share no conversation.
        """
        if not messages:
            return self._ids.new("ses")
        digest = hash((self._secret, scope))
        for name in _PREAMBLES:
            if name in fields:
                digest = hash((digest, _sample(fields[name])))
        first = len(messages) - _LOOK_BACK
        if first > 0:
            for message in messages[:first]:
                digest = hash((digest, _sample(message)))
            messages = messages[first:]
        digests: list[int] = []
        for message in messages:
            digest = hash((digest, _sample(message)))
            digests.append(digest)
        known = self._by_prefix
        for prefix in reversed(digests):
            session = known.get(prefix)
            if session is not None:
                break
        else:
            session = self._ids.new("ses")
        known[digest] = session
        known.move_to_end(digest)
        if len(known) > _MAX_KEPT:
            known.popitem(last=False)
        return session

    def succeed(self, key_id: str, session_id: str, turn_id: str) -> str:
        """Note the session's newest turn; gives the one before it, "" for the first."""
        last, key = self._last_turn, (key_id, session_id)
        previous = last.get(key, "")
        last[key] = turn_id
        last.move_to_end(key)
        if len(last) > _MAX_KEPT:
            last.popitem(last=False)
        return previous


def _sample(raw: msgspec.Raw) -> bytes:
    """The two ends of an entry, cache marks aside, which move from turn to turn.

    Enough to tell conversations of one key apart, and it keeps the cost of a 5 MB body at microseconds.
    """
    size = len(raw)
    # A copy of a short entry costs less than a view of it.
    text = bytes(raw) if size <= _SHORT else memoryview(raw)
    if size <= 2 * _SAMPLE:
        return _without_marks(bytes(text))
    return bytes(text[:_SAMPLE]) + _without_marks(bytes(text[-2 * _SAMPLE :]))[-_SAMPLE:]


def _without_marks(text: bytes) -> bytes:
    # One byte is looked for ten times as fast as a word, and most text has no underscore.
    if b"_" in text and b'"cache_control"' in text:
        return _CACHE_MARK.sub(b"", text)
    return text


def message_slices(fields: Fields) -> list[msgspec.Raw]:
    """The conversation's entries, undecoded; [] where there is no list of them."""
    for name in _LIST_FIELDS:
        raw = fields.get(name)
        if raw is not None:
            try:
                return _decode_list(raw)
            except (msgspec.DecodeError, CodecError):
                return []
    return []
