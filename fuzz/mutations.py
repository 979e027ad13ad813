"""What is done to valid bodies and streams: to their JSON, events and bytes. All by numbers that are drawn."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any, Final

from hypothesis import strategies as st

_DEEP: Final = 250
# What may stand in a place instead. Lone surrogates go out as escapes, NaN as the word.
_ODD: Final[tuple[Any, ...]] = (
    None,
    True,
    0,
    -1,
    2**63,
    10**40,
    1e308,
    0.5,
    float("nan"),
    float("-inf"),
    "",
    "\ud800",
    "x\udfff",
    "unknown_kind",
    "\x00",
    "x" * 2000,
    [],
    {},
    [[]],
    [None],
    {"type": "unknown_kind"},
    {"type": 5},
    {"": None},
    [{"type": "text", "text": None}],
    [{"type": "text", "text": "t", "cache_control": 3}],
)
_KEYS: Final = ("type", "role", "content", "index", "id", "delta", "usage", "text", "name", "input")
Place = tuple[Any, Any]


def _places(value: Any) -> list[Place]:
    """Every (container, key) of a JSON value."""
    found: list[Place] = []
    open_containers = [value] if isinstance(value, dict | list) else []
    while open_containers:
        held = open_containers.pop()
        keys = list(held) if isinstance(held, dict) else range(len(held))
        for key in keys:
            found.append((held, key))
            if isinstance(held[key], dict | list):
                open_containers.append(held[key])
    return found


def _odd(value: Any, place: int, which: int) -> Any:
    places = _places(value)
    if not places:
        return copy.deepcopy(_ODD[which % len(_ODD)])
    held, key = places[place % len(places)]
    held[key] = copy.deepcopy(_ODD[which % len(_ODD)])
    return value


def _removed(value: Any, place: int, which: int) -> Any:
    places = _places(value)
    if places:
        held, key = places[place % len(places)]
        del held[key]
    return value


def _renamed(value: Any, place: int, which: int) -> Any:
    places = [one for one in _places(value) if isinstance(one[0], dict)]
    if places:
        held, key = places[place % len(places)]
        held[_KEYS[which % len(_KEYS)]] = held.pop(key)
    return value


def _repeated(value: Any, place: int, which: int) -> Any:
    lists = [held[key] for held, key in _places(value) if isinstance(held[key], list) and held[key]]
    if lists:
        chosen = lists[place % len(lists)]
        chosen.append(copy.deepcopy(chosen[which % len(chosen)]))
    return value


def _moved(value: Any, place: int, which: int) -> Any:
    """A piece of the body put where another stands: every type in every place."""
    places = _places(value)
    if places:
        (held, key), (other, name) = places[place % len(places)], places[which % len(places)]
        held[key] = json.loads(json.dumps(other[name]))
    return value


def _nested(value: Any, place: int, which: int) -> Any:
    places = _places(value)
    if places:
        held, key = places[place % len(places)]
        for _ in range(which % _DEEP):
            held[key] = [held[key]] if which % 2 else {"content": held[key]}
    return value


_OF_JSON: Final[tuple[Callable[[Any, int, int], Any], ...]] = (
    _odd,
    _odd,
    _moved,
    _removed,
    _renamed,
    _repeated,
    _nested,
)


def _flipped(data: bytes, place: int, which: int) -> bytes:
    at = place % len(data)
    return data[:at] + bytes((data[at] ^ (1 << which % 8),)) + data[at + 1 :]


def _cut(data: bytes, place: int, which: int) -> bytes:
    return data[: place % len(data)]


def _without(data: bytes, place: int, which: int) -> bytes:
    at = place % len(data)
    return data[:at] + data[at + which % 40 :]


def _told_twice(data: bytes, place: int, which: int) -> bytes:
    at = place % len(data)
    return data[:at] + data[at : at + which % 400] + data[at:]


_INSERTS: Final = (
    b'"type":7,',
    b'"content":[],"content":null,',
    b'"usage":{},',
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xed\xa0\x80",
    b"\r\n\r\n",
    b"\r",
    b"\n\n",
    b": comment\n\n",
    b"\nevent: error\ndata: {}\n\n",
    b"\n\ndata: [DONE]\n\n",
    b"\n\ndata: 7\n\n",
    b"\n\ndata:\n\n",
    b'\n\ndata: {"type":"error","error":{"message":"m"}}\n\n',
    b'\n\nevent: unknown\ndata: {"type":"unknown.event","index":0}\n\n',
    b"<html><body>502 Bad Gateway</body></html>",
    b"[" * 2000,
    b'{"a":' * 2000,
    b"9" * 400,
    b"1e999",
    b"\\ud800",
    b"\x00",
)


def _inserted(data: bytes, place: int, which: int) -> bytes:
    """After a brace as often as anywhere, for that is where duplicate keys stand."""
    at = place % len(data)
    if which % 2:
        at = data.find(b"{", at) + 1 or at
    return data[:at] + _INSERTS[which % len(_INSERTS)] + data[at:]


def _other_line_ends(data: bytes, place: int, which: int) -> bytes:
    return data.replace(b"\n", b"\r\n" if which % 2 else b"\r")


def _led_by_mark(data: bytes, place: int, which: int) -> bytes:
    return b"\xef\xbb\xbf" + data


def _page(data: bytes, place: int, which: int) -> bytes:
    return b"<!DOCTYPE html><html><body>" + data[: place % 100] + b"</body></html>"


_OF_BYTES: Final[tuple[Callable[[bytes, int, int], bytes], ...]] = (
    _flipped,
    _flipped,
    _cut,
    _without,
    _told_twice,
    _inserted,
    _inserted,
    _other_line_ends,
    _led_by_mark,
    _page,
)


def _swapped(events: list[bytes], place: int, which: int) -> list[bytes]:
    one, other = place % len(events), which % len(events)
    events[one], events[other] = events[other], events[one]
    return events


def _dropped(events: list[bytes], place: int, which: int) -> list[bytes]:
    del events[place % len(events)]
    return events


def _event_twice(events: list[bytes], place: int, which: int) -> list[bytes]:
    events.insert(which % (len(events) + 1), events[place % len(events)])
    return events


def _event_changed(events: list[bytes], place: int, which: int) -> list[bytes]:
    at = place % len(events)
    head, mark, payload = events[at].partition(b"data: ")
    try:
        value = json.loads(payload)
    except ValueError:
        return events
    change = _OF_JSON[which % len(_OF_JSON)]
    events[at] = head + mark + _written(change(value, place // 7, which // 7))
    return events


_OF_EVENTS: Final[tuple[Callable[[list[bytes], int, int], list[bytes]], ...]] = (
    _event_changed,
    _event_changed,
    _event_changed,
    _event_changed,
    _swapped,
    _dropped,
    _event_twice,
)

Change = tuple[int, int, int]
"""Which mutation, where, and what with."""
_change: Final = st.tuples(
    st.integers(0, 1000), st.integers(0, 1_000_000), st.integers(0, 1_000_000)
)


def changes() -> st.SearchStrategy[tuple[list[Change], list[Change]]]:
    """Of the meaning, and of the bytes: those are rarer, since most of them only end the JSON."""
    bytewise = st.one_of(*[st.just([])] * 5, st.lists(_change, min_size=1, max_size=2))
    return st.one_of(
        st.tuples(st.lists(_change, min_size=1, max_size=3), st.just([])),
        st.tuples(st.lists(_change, max_size=3), bytewise),
    )


def _written(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def mutated_body(data: bytes, drawn: list[Change], bytewise: list[Change]) -> bytes:
    """Change the JSON, then the bytes."""
    value = json.loads(data)
    for number, place, which in drawn:
        value = _OF_JSON[number % len(_OF_JSON)](value, place, which)
    return _bytes_changed(_written(value), bytewise)


def mutated_stream(data: bytes, drawn: list[Change], bytewise: list[Change]) -> bytes:
    """Change its events, then the bytes."""
    events = [event for event in data.split(b"\n\n") if event]
    for number, place, which in drawn:
        if events:
            events = _OF_EVENTS[number % len(_OF_EVENTS)](events, place, which)
    return _bytes_changed(b"".join(event + b"\n\n" for event in events), bytewise)


def _bytes_changed(data: bytes, drawn: list[Change]) -> bytes:
    for number, place, which in drawn:
        if data:
            data = _OF_BYTES[number % len(_OF_BYTES)](data, place, which)
    return data
