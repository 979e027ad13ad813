"""How events stand on disk: those of turns and calls as arrays, in which a place is a name; the others as objects."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.ledgers import DECISION

from metis.facts.usage import PaidBy, UsageSource
from metis.trace.events import (
    AnyEvent,
    AuthFailed,
    KeyRotated,
    LlmCallCompleted,
    LlmCallStarted,
    RouteDecided,
    TurnCompleted,
    decode_event,
    decode_events,
    decode_object,
    encode_events,
)
from metis.trace.events.event import as_dict, name_of
from metis.trace.events.groups import CALL_END, CALL_KIND, TURN_KIND, WHOSE
from metis.trace.events.turn import FidelityNote, TurnFeatures

ANN = WHOSE.pack("acme", "web", "ann", "shop", "key_1", "codex", "s1", "a", "p")
KIND = CALL_KIND.pack(
    *("main", "openai", "gpt-9", "auto", "generate", "openai_chat", "openai_responses"),
    *(True, PaidBy.CLIENT, "b"),
)
CALL = ("turn_1", 5, ANN, KIND, 2, "turn_0", 11)
ANN_ON_DISK = (
    b'{"org_id":"acme","team_id":"web","user_id":"ann","project_id":"shop","key_id":"key_1",'
    b'"client":"codex","session_id":"s1","agent_id":"a","parent_agent_id":"p"}'
)
KIND_ON_DISK = (
    b'{"role":"main","provider":"openai","model":"gpt-9","requested_model":"auto","operation":"generate",'
    b'"shape":"openai_chat","upstream_shape":"openai_responses","stream":true,"paid_by":"client","arm":"b"}'
)

# Each event with no field left out, and its line. Spools outlive the Metis that wrote them: places may not change.
LINES: dict[str, tuple[AnyEvent, bytes]] = {
    "route.decided": (
        RouteDecided("turn_1", 5, ANN, "0" * 32, DECISION, 3),
        b'["route.decided","turn_1",5,%b,"%b",%b,3]\n'
        % (ANN_ON_DISK, b"0" * 32, msgspec.json.encode(DECISION)),
    ),
    "llm.call_started": (
        LlmCallStarted(*CALL),
        b'["llm.call_started","turn_1",5,%b,%b,2,"turn_0",11]\n' % (ANN_ON_DISK, KIND_ON_DISK),
    ),
    "llm.call_completed": (
        LlmCallCompleted(
            *CALL,
            ending=CALL_END.pack(
                *("error", 529, "overloaded", "cut", "overloaded_error", UsageSource.ESTIMATED),
                *(True, ("web_search",), "end_turn", "gpt-9-x"),
            ),
            duration_us=21,
            first_byte_us=22,
            response_bytes=23,
            response_id="msg_1",
            upstream_request_id="req_1",
            cost_nano_usd=24,
            input_tokens=25,
            cache_read_tokens=26,
            output_tokens=27,
            cache_write_5m_tokens=28,
            cache_write_1h_tokens=29,
            reasoning_tokens=30,
            input_audio_tokens=31,
            output_audio_tokens=32,
            server_tools={"web_search": 33},
            tool_calls=34,
        ),
        b'["llm.call_completed","turn_1",5,%b,%b,2,"turn_0",11,'
        b'{"outcome":"error","http_status":529,"failure":"overloaded","failure_cause":"cut",'
        b'"error_type":"overloaded_error","usage_source":"estimated","price_unknown":true,'
        b'"unpriced":["web_search"],"stop":"end_turn","response_model":"gpt-9-x"},'
        b'21,22,23,"msg_1","req_1",24,25,26,27,28,29,30,31,32,{"web_search":33},34]\n'
        % (ANN_ON_DISK, KIND_ON_DISK),
    ),
    "turn.completed": (
        TurnCompleted(
            *("turn_1", 5, ANN),
            kind=TURN_KIND.pack(
                *("generate", "openai_chat", "auto", "openai", "gpt-9", True, "client_gone", 200),
                *(2, "title", "side", "1.2", "header", "b"),
            ),
            previous_turn_id="turn_0",
            response_id="msg_2",
            overhead_us=41,
            duration_us=42,
            features=msgspec.Raw(msgspec.json.encode(TurnFeatures(messages=43))),
            fidelity=(FidelityNote("dropped", "$.thread", "not in this shape"),),
        ),
        b'["turn.completed","turn_1",5,%b,'
        b'{"operation":"generate","shape":"openai_chat","requested_model":"auto","provider":"openai",'
        b'"model":"gpt-9","stream":true,"outcome":"client_gone","http_status":200,"attempts":2,'
        b'"auxiliary":"title","request_class":"side","client_version":"1.2","session_source":"header",'
        b'"arm":"b"},"turn_0","msg_2",41,42,{"messages":43},[["dropped","$.thread","not in this shape"]]]\n'
        % ANN_ON_DISK,
    ),
    "gateway.key_rotated": (
        KeyRotated(event_id="evt_1", ts=5, key_id="key_1", new_key_id="key_2"),
        b'["event",{"event":"gateway.key_rotated","event_id":"evt_1","ts":5,"key_id":"key_1",'
        b'"new_key_id":"key_2"}]\n',
    ),
}
SHORTEST = {
    b'["route.decided","turn_1",5,{}]': RouteDecided("turn_1", 5, WHOSE.pack()),
    b'["llm.call_completed","turn_1",5,{},%b,1,"",0,{"outcome":"ok"}]' % KIND_ON_DISK: (
        LlmCallCompleted("turn_1", 5, WHOSE.pack(), KIND, 1, "", 0, CALL_END.pack("ok"))
    ),
    b'["turn.completed","turn_1",5,{},{"operation":"a","shape":"b","requested_model":"c"}]': (
        TurnCompleted("turn_1", 5, WHOSE.pack(), TURN_KIND.pack("a", "b", "c"))
    ),
}


@pytest.mark.parametrize(("event", "line"), LINES.values(), ids=LINES)
def test_an_events_line_is_what_it_ever_was(event: AnyEvent, line: bytes) -> None:
    assert encode_events([event]) == line
    assert decode_event(line) == event
    assert name_of(event).encode() in line


def test_lines_of_both_forms_stand_together_in_their_order() -> None:
    events = [event for event, _ in LINES.values()]
    lines = b"".join(line for _, line in LINES.values())
    assert encode_events(events) == lines
    assert decode_events(lines) == events
    assert encode_events(events[:4]) + encode_events(events[4:]) == lines
    assert (encode_events([]), decode_events(b"")) == (b"", [])


@pytest.mark.parametrize(("line", "event"), SHORTEST.items(), ids=map(name_of, SHORTEST.values()))
def test_a_line_of_before_its_last_fields_were_there_is_read_with_their_defaults(
    line: bytes, event: AnyEvent
) -> None:
    assert decode_event(line) == event


@pytest.mark.parametrize(("event", "line"), list(LINES.values())[:4], ids=list(LINES)[:4])
def test_a_line_of_a_newer_metis_is_read_without_what_is_unknown(
    event: AnyEvent, line: bytes
) -> None:
    assert decode_event(line[:-2] + b',"of tomorrow"]') == event


def test_what_follows_from_a_turns_id_is_not_written_down() -> None:
    route, started, completed, turn, _ = (event for event, _ in LINES.values())
    assert [event.event_id for event in (route, started, completed, turn)] == [
        *("evt_1_route", "evt_1_2_start", "evt_1_2_end", "evt_1_turn"),
    ]
    assert isinstance(started, LlmCallStarted) and isinstance(completed, LlmCallCompleted)
    assert (started.call_id, completed.call_id) == ("call_1_2", "call_1_2")


def test_an_event_by_its_names_has_its_groups_taken_apart() -> None:
    whose: dict[str, Any] = {
        "org_id": "acme",
        "team_id": "web",
        "user_id": "ann",
        "project_id": "shop",
        "key_id": "key_1",
        "client": "codex",
        "session_id": "s1",
        "agent_id": "a",
        "parent_agent_id": "p",
    }
    assert as_dict(LINES["route.decided"][0]) == {
        "event": "route.decided",
        "event_id": "evt_1_route",
        "turn_id": "turn_1",
        "ts": 5,
        **whose,
        "decision_id": "0" * 32,
        "decision": msgspec.to_builtins(DECISION),
        "policy": 3,
    }
    turn = as_dict(LINES["turn.completed"][0])
    assert turn == {
        "event": "turn.completed",
        "event_id": "evt_1_turn",
        "turn_id": "turn_1",
        "ts": 5,
        **whose,
        "operation": "generate",
        "shape": "openai_chat",
        "requested_model": "auto",
        "provider": "openai",
        "model": "gpt-9",
        "stream": True,
        "outcome": "client_gone",
        "http_status": 200,
        "attempts": 2,
        "auxiliary": "title",
        "request_class": "side",
        "client_version": "1.2",
        "session_source": "header",
        "arm": "b",
        "previous_turn_id": "turn_0",
        "response_id": "msg_2",
        "overhead_us": 41,
        "duration_us": 42,
        "features": {"messages": 43},
        "fidelity": turn["fidelity"],
    }
    assert msgspec.convert(turn["fidelity"], list[FidelityNote]) == [
        FidelityNote("dropped", "$.thread", "not in this shape")
    ]
    call = as_dict(LINES["llm.call_completed"][0])
    assert (call["role"], call["paid_by"], call["usage_source"]) == ("main", "client", "estimated")
    assert (call["outcome"], call["first_byte_us"], call["server_tools"]) == (
        *("error", 22, {"web_search": 33}),
    )
    assert as_dict(LINES["gateway.key_rotated"][0]) == {
        "event": "gateway.key_rotated",
        "event_id": "evt_1",
        "ts": 5,
        "key_id": "key_1",
        "new_key_id": "key_2",
    }


def test_an_event_that_stands_alone_is_read_and_those_of_turns_never_do() -> None:
    failed = AuthFailed(event_id="evt_1", ts=5, reason="revoked")
    assert decode_object(msgspec.json.encode(failed)) == failed
    for text in (LINES["route.decided"][1], LINES["gateway.key_rotated"][1], b"{}", b""):
        with pytest.raises(msgspec.DecodeError):
            decode_object(text)
