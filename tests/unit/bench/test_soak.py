from __future__ import annotations

from dataclasses import replace
from random import Random

import msgspec
import pytest
from bench.answers import MARK, WHOLE
from bench.faults import STREAM_CHUNKS, Served, numbered
from bench.soak import unforgiven
from bench.soak_checks import Call, flat, ledger_against_upstream, same_descriptors
from bench.soak_clients import Answer, Ask, wish, wrong

ASK = Ask("chat", "gpt-4o", stream=False)
STREAM = replace(ASK, stream=True)
WHOLE_STREAM = Answer(200, True, MARK * STREAM_CHUNKS + b"data: [DONE]\n\n")
CALL = Call(
    call_id="call_1",
    state="closed",
    outcome="ok",
    http_status=200,
    upstream_request_id="req_soak_1",
    usage_source="reported",
    input_tokens=1,
    output_tokens=7,
)
SERVED = Served(number=1, shape="chat", fault="", stream=False, ended="whole")


def changed(**fields: object) -> Call:
    return msgspec.structs.replace(CALL, **fields)


def compared(*calls: Call, served: list[Served] | None = None, kills: int = 0) -> list[str]:
    return ledger_against_upstream(calls, [SERVED] if served is None else served, kills=kills)


def test_a_ledger_that_says_what_the_upstream_counted_agrees() -> None:
    assert compared(CALL) == []


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (changed(input_tokens=2), "usage is not what the upstream reported"),
        (changed(usage_source="estimated"), "usage is not what the upstream reported"),
        (changed(outcome="error"), "a whole answer is error"),
    ],
)
def test_a_call_that_stands_otherwise_in_the_ledger_is_told(call: Call, said: str) -> None:
    assert compared(call) == [f"1 times: {said}, such as req_soak_1"]


def test_a_missing_call_is_told() -> None:
    assert compared() == [
        "the ledger has 0 calls (0 interrupted), the upstream was asked 1 times",
        "1 answered calls are in the ledger without their id (0 unseen)",
    ]


def test_a_call_that_stands_twice_is_told() -> None:
    said = compared(CALL, changed(call_id="call_2"))
    assert "1 upstream calls stand in the ledger twice, such as req_soak_1" in said


def test_a_call_that_never_ended_is_told() -> None:
    assert "1 calls never ended in the ledger" in compared(changed(state="open"))


def test_interrupted_calls_want_a_worker_that_was_killed() -> None:
    lost = changed(outcome="interrupted", upstream_request_id="", http_status=0)
    assert compared(lost, kills=1) == []
    assert compared(lost) == ["1 calls are interrupted, and no worker was killed"]


def test_an_upstream_error_must_be_in_the_ledger_with_its_status() -> None:
    refused = [Served(number=1, shape="chat", fault="e429", stream=False, ended="fault")]
    assert compared(changed(outcome="error", http_status=429), served=refused) == []
    assert compared(CALL, served=refused) == ["1 times: status 429 is ok 200, such as req_soak_1"]


def test_a_stream_that_broke_off_is_no_success() -> None:
    cut = [Served(number=1, shape="chat", fault="cut", stream=True, ended="fault")]
    assert compared(changed(outcome="error"), served=cut) == []
    assert compared(CALL, served=cut) == [
        "1 times: a call that broke off is ok, such as req_soak_1"
    ]


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (ASK, Answer(200, True, b"{}")),
        (STREAM, WHOLE_STREAM),
        (replace(ASK, fault="e429"), Answer(429, True, b"{}")),
        (replace(ASK, fault="refuse"), Answer(502, True, b"{}")),
        (replace(STREAM, fault="cut"), Answer(200, False, MARK)),
        (replace(ASK, fault="cut"), Answer(502, True, b"{}")),
    ],
)
def test_what_a_request_had_to_get_is_good(ask: Ask, answer: Answer) -> None:
    assert wrong(ask, answer) == ""


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (ASK, Answer(502, True, b"{}")),
        (ASK, Answer(200, False, b"{")),
        (STREAM, Answer(200, True, MARK * STREAM_CHUNKS)),
        (STREAM, Answer(200, True, MARK * 29 + b"data: [DONE]\n\n")),
        (replace(ASK, fault="e429"), Answer(200, True, b"{}")),
        (replace(ASK, fault="refuse"), Answer(0, False, b"")),
        (replace(STREAM, fault="cut"), WHOLE_STREAM),
        (replace(ASK, fault="cut"), Answer(200, True, b"{}")),
    ],
)
def test_what_a_request_must_not_get_is_told(ask: Ask, answer: Answer) -> None:
    assert wrong(ask, answer) != ""


def test_only_what_ran_when_a_worker_was_killed_is_forgiven() -> None:
    early = (ASK, Answer(0, False, b"", began=1.0, ended=2.0), "")
    during = (ASK, Answer(0, False, b"", began=9.0, ended=11.0), "")
    assert unforgiven([early, during], [10.0]) == [early]


def test_all_that_a_soak_is_made_of_is_wished_for() -> None:
    chance = Random(7)
    wishes = [wish(chance) for _ in range(3000)]
    assert {one.shape for one in wishes} == {"chat", "messages", "responses"}
    assert len({one.model for one in wishes}) == 5
    assert {one.fault for one in wishes} >= {
        "",
        "cut",
        "e429",
        "refuse",
        "garbage",
        "slow",
        "paced",
    }
    assert {bool(one.leave_s) for one in wishes} == {one.stream for one in wishes} == {True, False}


def test_memory_that_grows_is_told_and_what_settles_is_not() -> None:
    assert flat("worker", [20.0] * 30 + [100.0] * 70, 0.3)[1]
    said, good = flat("worker", [100.0 + n for n in range(100)], 0.25)
    assert (said, good) == ("worker: 132.0 MB after the warm-up, 192.0 MB at the end", False)


def test_descriptors_that_stay_open_are_told() -> None:
    assert same_descriptors({"worker": 20}, {"worker": 28}) == []
    assert same_descriptors({"worker": 20}, {"worker": 29}) == [
        "worker: 20 descriptors at rest after the warm-up, 29 at the end"
    ]


def test_answers_are_told_apart_by_their_number() -> None:
    usage = msgspec.json.decode(numbered(WHOLE["chat"], 41))["usage"]
    assert usage == {"prompt_tokens": 41, "completion_tokens": 7, "total_tokens": 48}
