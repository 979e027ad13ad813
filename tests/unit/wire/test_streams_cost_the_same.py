"""A stream's usage and cost are those of the same call without streaming: for recorded calls, in each shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from corpus.records import Record, read
from tests.unit.wire.answers_with_usage import CONTEXT, folded, watched

from metis.catalog.pricing import Prices, load_prices
from metis.catalog.rates import Cost
from metis.facts.usage import Usage
from metis.ir.response import Response
from metis.ir.stream import unfold
from metis.turn.crossing import StreamCrossing
from metis.wire import SHAPES
from metis.wire.codec import Shape

AT_S = 1_790_000_000.0
# One model a shape whose price has cache reads, cache writes and searches in it.
MODELS = {
    "anthropic_messages": ("anthropic", "claude-sonnet-4-5"),
    "openai_chat": ("openai", "gpt-5.1"),
    "openai_responses": ("openai", "gpt-5.1"),
}


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Prices:
    return load_prices(tmp_path_factory.mktemp("prices"))


@pytest.fixture(scope="module")
def recorded(corpus: Path) -> list[Record]:
    return [one for one in read(corpus) if one.shape in SHAPES and one.status == 200]


def shape_of(record: Record) -> Shape:
    return next(shape for shape in SHAPES if shape is record.shape)


def cost(prices: Prices, shape: Shape, usage: Usage | None) -> Cost | None:
    found = prices.cost(*MODELS[shape.name], usage or Usage(), AT_S)
    assert found is not None
    return found if usage is not None else None


def written(target: Shape, answer: Response) -> bytes:
    encoder = target.stream_encoder(CONTEXT)
    return b"".join(map(encoder.feed, unfold(answer)))


def usages(shape: Shape, answer: Response) -> Iterator[tuple[Shape, Usage | None, Usage | None]]:
    """In each shape: the usage that a whole answer tells, and that its stream tells by the tap and the fold."""
    for target in SHAPES:
        whole = target.encode_response(answer, CONTEXT).body
        stream = written(target, answer)
        told = target.facts_of(whole).usage
        yield target, told, watched(target, [stream]).usage
        yield target, told, folded(target, stream).usage


def test_a_whole_answer_costs_the_same_as_a_stream(recorded: list[Record], prices: Prices) -> None:
    seen = 0
    for record in recorded:
        if record.answer is None:
            continue
        shape = shape_of(record)
        body = json.dumps(record.answer).encode("utf-8", "surrogatepass")
        answer, facts = shape.decode_response(body), shape.facts_of(body)
        assert facts.usage == answer.usage, record.name
        for target, told, streamed in usages(shape, answer):
            if target.name == "anthropic_messages" or answer.usage is not None:
                assert (told or Usage()) == (streamed or Usage()), (record.name, target.name)
                assert cost(prices, target, told or Usage()) == cost(
                    prices, target, streamed or Usage()
                )
        seen += answer.usage is not None
    assert seen > 1500


def test_a_stream_costs_the_same_as_its_answer_whole(
    recorded: list[Record], prices: Prices
) -> None:
    seen = 0
    for record in recorded:
        if record.stream is None:
            continue
        shape, data = shape_of(record), record.stream
        answer = folded(shape, data)
        if answer.stop == "error":
            continue
        whole = shape.facts_of(shape.encode_response(answer, CONTEXT).body).usage
        assert whole == answer.usage == watched(shape, [data]).usage, record.name
        for target in SHAPES:
            if target is not shape:
                crossing = StreamCrossing(shape, target, CONTEXT, events=True)
                crossing.feed(data)
                crossing.finish()
                assert crossing.facts.usage == whole, (record.name, target.name)
        assert cost(prices, shape, whole) == cost(prices, shape, watched(shape, [data]).usage)
        seen += whole is not None
    assert seen > 400


def test_a_compaction_is_paid_and_an_advisor_shows_as_unknown(prices: Prices) -> None:
    shape = SHAPES[0]
    totals = {"input_tokens": 100, "output_tokens": 10}
    compacted = {"type": "compaction", "input_tokens": 900, "output_tokens": 90}
    advised = {"type": "advisor_message", "model": "other", "input_tokens": 5, "output_tokens": 5}
    # claude-sonnet-4-5: 3 USD and 15 USD a million.
    for iterations, expected in (
        ([], Cost(450_000)),
        ([compacted], Cost(4_500_000)),
        ([compacted, advised], Cost(4_500_000, ("advisor_message_requests",))),
    ):
        usage = shape.usage_of({**totals, "iterations": iterations})
        assert cost(prices, shape, usage) == expected
