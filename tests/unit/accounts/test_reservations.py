"""What a key has under way never goes over its limit, and nothing is held for calls that have ended."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from metis.accounts.admission import Refusal, Reservation
from metis.accounts.reservations import Reservations
from metis.facts.identity import Principal

ANN, BOB = Principal(key_id="key_ann"), Principal(key_id="key_bob")


def test_a_call_is_admitted_while_it_fits_beside_those_under_way() -> None:
    book = Reservations(100)
    first = book.reserve(ANN, "call_1", lambda: 60)
    assert first == Reservation("key_ann", "call_1", 60)
    refused = book.reserve(ANN, "call_2", lambda: 41)
    assert isinstance(refused, Refusal)
    assert (refused.limit, refused.retry_after_s) == ("most_open_usd", 2.0)
    assert "wait for a call of this key to end" in refused.message
    assert isinstance(book.reserve(BOB, "call_3", lambda: 100), Reservation)
    assert isinstance(first, Reservation)
    book.settle(first, 7)
    assert isinstance(book.reserve(ANN, "call_4", lambda: 100), Reservation)


def test_a_call_that_can_never_fit_is_told_what_to_change() -> None:
    refused = Reservations(100).reserve(ANN, "call_1", lambda: 101)
    assert isinstance(refused, Refusal)
    assert "max_tokens" in refused.message


def test_without_a_limit_nothing_is_worked_out() -> None:
    def never() -> int:
        raise AssertionError("nobody asked for the bound")

    book = Reservations()
    admitted = book.reserve(ANN, "call_1", never)
    assert isinstance(admitted, Reservation)
    book.settle(admitted, 5)
    assert book.open_nano_usd == {}


@given(
    st.lists(st.tuples(st.sampled_from([ANN, BOB]), st.integers(0, 70), st.booleans()), max_size=40)
)
def test_what_is_open_is_what_was_admitted_and_not_settled(
    steps: list[tuple[Principal, int, bool]],
) -> None:
    book = Reservations(100)
    held: list[Reservation] = []
    for number, (who, wanted, ends) in enumerate(steps):
        if ends and held:
            book.settle(held.pop(0), wanted)
        answer = book.reserve(who, f"call_{number}", lambda wanted=wanted: wanted)
        if isinstance(answer, Reservation):
            held.append(answer)
        for one in (ANN, BOB):
            total = sum(kept.nano_usd for kept in held if kept.key_id == one.key_id)
            assert book.open_nano_usd.get(one.key_id, 0) == total <= 100
    for kept in held:
        book.settle(kept, 0)
    assert book.open_nano_usd == {}
