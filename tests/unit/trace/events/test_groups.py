"""Groups of fields are written once, alike, and read back by their bytes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from metis.facts.usage import PaidBy, UsageSource
from metis.trace.events.groups import (
    CALL_END,
    CALL_KIND,
    TURN_KIND,
    WHOSE,
    CallEnd,
    CallKind,
    Group,
    Packed,
    TurnKind,
    Whose,
)

VALUES = {
    "whose": (WHOSE, Whose("acme", "web", "ann", "shop", "key_1", "codex", "s1", "a", "p")),
    "call kind": (
        CALL_KIND,
        CallKind(
            *("hedge", "openai", "gpt-9", "auto", "generate", "openai_chat", "openai_responses"),
            *(True, PaidBy.CLIENT, "b"),
        ),
    ),
    "call end": (
        CALL_END,
        CallEnd(
            *("error", 529, "overloaded", "cut", "overloaded_error", UsageSource.ESTIMATED),
            *(True, ("web_search_requests",), "end_turn", "gpt-9-x"),
        ),
    ),
    "turn kind": (
        TURN_KIND,
        TurnKind(
            *("generate", "openai_chat", "auto", "openai", "gpt-9", True, "client_gone", 200, 2),
            *("title", "side", "1.2", "header", "b"),
        ),
    ),
}
GROUPS = pytest.mark.parametrize(("group", "value"), VALUES.values(), ids=VALUES)


@GROUPS
def test_a_group_comes_back_as_it_was_packed(group: Group[..., Any], value: Any) -> None:
    packed = group.pack(*msgspec.structs.astuple(value))
    assert group.unpack(packed) == value
    assert bytes(packed) == msgspec.json.encode(value)
    written = msgspec.json.decode(bytes(packed), type=dict[str, Any])
    assert tuple(written) == value.__struct_fields__  # none is left at its default


@GROUPS
def test_what_is_alike_is_packed_alike_and_made_once(group: Group[..., Any], value: Any) -> None:
    fields = msgspec.structs.asdict(value)
    by_place, by_name = group.pack(*fields.values()), group.pack(**fields)
    assert bytes(by_place) == bytes(by_name)
    assert group.pack(*fields.values()) is by_place
    assert group.unpack(by_place) is group.unpack(Packed(bytes(by_name)))


@GROUPS
def test_a_group_of_a_newer_metis_is_read_without_what_is_unknown(
    group: Group[..., Any], value: Any
) -> None:
    fields = {**msgspec.to_builtins(value), "of_tomorrow": 1}
    assert group.unpack(Packed(msgspec.json.encode(fields))) == value


def test_what_does_not_apply_is_left_out() -> None:
    assert bytes(WHOSE.pack()) == b"{}"
    assert bytes(CALL_END.pack("interrupted")) == b'{"outcome":"interrupted"}'


@pytest.mark.parametrize(
    ("group", "packed"),
    [
        (WHOSE, b"null"),
        (WHOSE, b'{"org_id":1}'),
        (CALL_KIND, b"{}"),
        (CALL_END, b'{"outcome":"of tomorrow"}'),
        (TURN_KIND, b'["generate"]'),
    ],
)
def test_what_is_no_such_group_is_refused(group: Group[..., Any], packed: bytes) -> None:
    for _ in range(2):  # a refusal is not remembered as anything else
        with pytest.raises(msgspec.DecodeError):
            group.unpack(Packed(packed))


def test_text_that_json_cannot_hold_is_refused_when_it_is_packed() -> None:
    with pytest.raises(UnicodeEncodeError):
        WHOSE.pack(session_id="lone \ud800 surrogate")
