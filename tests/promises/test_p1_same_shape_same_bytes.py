"""P1: where the client's API shape is the upstream's, what leaves is what came, byte for byte."""

from __future__ import annotations

import gzip
import json

import pytest
from tests.answers import completion_events, events_for, message_events, response_events, whole_for
from tests.client import PATHS, request_for, send
from tests.promises.conftest import UPSTREAM_KEY, Pair
from tests.upstream import Seen, Wire

MODELS = {
    "anthropic_messages": "claude-sonnet-4-5",
    "openai_chat": "gpt-4o",
    "openai_responses": "gpt-4o",
}
SHAPES = tuple(PATHS)

# White space, key order, escapes, number forms, unknown fields and unknown blocks: nothing may move.
ODD = {
    "anthropic_messages": b"""{ "zeta":1e5, "model" : "claude-sonnet-4-5","max_tokens":  16,
 "messages":[{"content":[{"type":"new_block","x":{"b":1,"a":1.0}},{"type":"thinking","thinking":"","signature":"c2ln"}
 ,{"text":"\\u00e9\\/\\ud83d\\ude00 \xc3\xa9","type":"text","cache_control":{"ttl":"1h","type":"ephemeral"}}],
 "role":"user"}],
 "context_management":{"edits":[]},"thinking":{"type":"adaptive","display":"omitted"},"unknown_thing":[null,-0.0,1.10] }
""",
    "openai_chat": b"""\t{"messages":[{"content":"a\\tb","role":"user","name":null}] ,"model":"gpt-4o","tools":[],
"logit_bias":{"50256":-100.0},"stream":false,"future":{"deep":[1,{"z":0,"a":0}]}}""",
    "openai_responses": b"""{"input":[{"type":"mystery_item","payload":{"b":2,"a":1}},{"role":"user","content":"hi"}],
"include":["reasoning.encrypted_content"],"store":false,"model":"gpt-4o","client_metadata":{"k":"v"}}""",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_request_body_arrives_as_it_was_sent(pair: Pair, shape: str) -> None:
    reply = send(pair.port, PATHS[shape], ODD[shape], pair.auth)
    assert reply.status == 200, reply.body
    assert [seen.body for seen in pair.upstream.seen] == [ODD[shape]]


@pytest.mark.parametrize("shape", SHAPES)
def test_sync_answer_arrives_as_it_was_given(pair: Pair, shape: str) -> None:
    body = json.dumps(whole_for(PATHS[shape]), indent=1).encode() + b"\n  "

    async def handler(seen: Seen, wire: Wire) -> None:
        await wire.answer(200, body, ("x-future-header", "kept"), ("request-id", "req_1"))

    pair.upstream.handler = handler
    reply = send(pair.port, PATHS[shape], request_for(shape, MODELS[shape]), pair.auth)
    assert reply.body == body
    assert (reply.headers["x-future-header"], reply.headers["request-id"]) == ("kept", "req_1")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_stream_arrives_as_it_was_given_under_any_chunking(
    pair: Pair, shape: str, size: int
) -> None:
    streams = {
        "anthropic_messages": message_events(),
        "openai_chat": completion_events(usage=True),
        "openai_responses": response_events(),
    }
    extra = b': a comment\n\nevent: future\ndata: {"type":"future","x":1}\n\n'
    whole = streams[shape][0] + extra + b"".join(streams[shape][1:])

    async def handler(seen: Seen, wire: Wire) -> None:
        await wire.begin_stream()
        for start in range(0, len(whole), size):
            await wire.chunk(whole[start : start + size])
        await wire.end_stream()

    pair.upstream.handler = handler
    body = request_for(shape, MODELS[shape], stream=True)
    if shape == "openai_chat":
        body["stream_options"] = {"include_usage": True}
    reply = send(pair.port, PATHS[shape], body, pair.auth)
    assert reply.body == whole


def test_only_the_models_name_is_edited_and_the_edit_is_listed(pair: Pair) -> None:
    body = ODD["anthropic_messages"].replace(b"claude-sonnet-4-5", b"anthropic/claude-sonnet-4-5")
    reply = send(pair.port, "/v1/messages", body, pair.auth)
    assert pair.upstream.seen[0].body == ODD["anthropic_messages"]
    assert reply.headers["x-metis-fidelity"] == "edited=1"
    turn = reply.headers["x-metis-turn"]
    rows = pair.gateway.wait_for_rows(f"SELECT fidelity FROM turns WHERE turn_id = '{turn}'", 1)
    assert json.loads(rows[0]["fidelity"]) == [["edited", "$.model", "the routed model's name"]]


def test_usage_is_always_asked_for_and_its_chunk_left_out_where_the_client_did_not(
    pair: Pair,
) -> None:
    body = b'{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}]}'
    reply = send(pair.port, "/v1/chat/completions", body, pair.auth)
    assert pair.upstream.seen[0].body == (
        b'{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}],'
        b'"stream_options":{"include_usage":true}}'
    )
    given = events_for(pair.upstream.seen[0])
    assert reply.body == b"".join(event for event in given if b'"choices": []' not in event)


def test_compressed_request_is_decoded(pair: Pair) -> None:
    packed = gzip.compress(ODD["openai_chat"])
    headers = {**pair.auth, "content-encoding": "gzip"}
    assert send(pair.port, "/v1/chat/completions", packed, headers).status == 200
    seen = pair.upstream.seen[0]
    assert (seen.body, seen.header("content-encoding")) == (ODD["openai_chat"], None)


def test_headers_pass_as_an_open_list_and_credentials_never_do(pair: Pair) -> None:
    headers = {
        **pair.auth,
        "authorization": f"Bearer {pair.gateway.key}",
        "anthropic-beta": "claude-code-20250219,future-beta-2030",
        "anthropic-future": "yes",
        "x-stainless-lang": "python",
        "x-claude-code-session-id": "s-1",
        "user-agent": "test/1",
        "connection": "keep-alive, x-hop",
        "x-hop": "not for others",
        "accept-encoding": "gzip",
        "cookie": "a=b",
        "x-metis-project": "p",
    }
    send(pair.port, "/v1/messages", request_for("anthropic_messages", "claude-sonnet-4-5"), headers)
    sent = {name.lower(): value for name, value in pair.upstream.seen[0].headers}
    passed = ("anthropic-beta", "anthropic-future", "x-stainless-lang", "x-claude-code-session-id")
    assert {name: sent[name] for name in passed} == {name: headers[name] for name in passed}
    assert sent["user-agent"] == "test/1"
    assert sent["x-api-key"] == UPSTREAM_KEY
    assert sent["accept-encoding"] == "identity"
    for name in ("authorization", "x-hop", "cookie", "x-metis-project", "connection"):
        assert name not in sent
    assert pair.gateway.key not in str(pair.upstream.seen[0].headers)


def test_same_request_gives_the_same_bytes_again(pair: Pair) -> None:
    body = request_for("openai_chat", "chat-only/gpt-4o", stream=True)
    for _ in range(2):
        send(pair.port, "/v1/chat/completions", body, pair.auth)
    first, second = (seen.body for seen in pair.upstream.seen)
    assert first == second


@pytest.mark.parametrize("shape", SHAPES)
def test_answer_of_an_unknown_form_arrives_as_it_was_given(pair: Pair, shape: str) -> None:
    body = b'{"id":"x","output":[5,{"type":7}],"choices":"none","content":{"odd":true},"usage":{}}'

    async def handler(seen: Seen, wire: Wire) -> None:
        await wire.answer(200, body)

    pair.upstream.handler = handler
    reply = send(pair.port, PATHS[shape], request_for(shape, MODELS[shape]), pair.auth)
    assert (reply.status, reply.body) == (200, body)
