"""A decision is told in full once in a while, and by its id in between."""

from __future__ import annotations

import msgspec

from metis.facts.decision import RouteDecision
from metis.trace.events.route import decision_id_of
from metis.turn.decisions import DecisionBook


def decision(model: str) -> RouteDecision:
    return RouteDecision(
        requested_model=model,
        provider="openai",
        model=model,
        slot="requested",
        reason="the client named it",
        verdicts=(),
    )


def test_a_decision_is_told_once_and_then_by_its_id() -> None:
    book, one = DecisionBook(), decision("a")
    decision_id = decision_id_of(msgspec.json.encode(one))
    assert [book.tell(one) for _ in range(3)] == [(decision_id, one)] + [(decision_id, None)] * 2


def test_an_equal_decision_that_is_another_value_is_told_under_the_same_id() -> None:
    book = DecisionBook()
    assert book.tell(decision("a")) == book.tell(decision("a"))


def test_a_decision_is_told_again_after_a_while() -> None:
    book, one = DecisionBook(), decision("a")
    told = [book.tell(one)[1] is not None for _ in range(1000)]
    assert told[0] and 3 <= sum(told) <= 5


def test_the_book_is_bounded_and_forgetting_tells_again() -> None:
    book, one = DecisionBook(), decision("a")
    book.tell(one)
    kept = [decision(f"m{number}") for number in range(2000)]
    for other in kept:
        book.tell(other)
    assert book.tell(one)[1] is one
