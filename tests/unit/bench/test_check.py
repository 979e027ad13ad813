from __future__ import annotations

import msgspec
from bench.check import FILE, Expected, Ratios, least, too_dear, too_many

EXPECTED = {"sync": Ratios(worker=2.0, all=3.0)}


def test_a_quarter_more_is_allowed_and_no_more() -> None:
    assert too_dear(EXPECTED, {"sync": Ratios(worker=2.5, all=3.75)}) == {}
    assert too_dear(EXPECTED, {"sync": Ratios(worker=2.6, all=3.0)}) == {
        "sync": "sync: worker at 2.60x nginx, expected 2.00 (+30%, 25% allowed)"
    }


def test_what_runs_beside_the_worker_is_held_too() -> None:
    assert too_dear(EXPECTED, {"sync": Ratios(worker=2.0, all=4.5)}) == {
        "sync": "sync: all at 4.50x nginx, expected 3.00 (+50%, 25% allowed)"
    }


def test_a_scenario_nothing_is_expected_of_fails() -> None:
    assert list(too_dear({}, EXPECTED)) == ["sync"]
    assert len(too_many({}, {"sync": 1})) == 1


def test_a_twentieth_more_instructions_are_allowed_and_no_more() -> None:
    assert too_many({"sync": 100_000}, {"sync": 105_000}) == []
    assert too_many({"sync": 100_000}, {"sync": 105_001}) == [
        "sync: 105,001 instructions a request, expected 100,000 (+5.0%, 5% allowed)"
    ]


def test_of_two_measurements_the_smaller_counts() -> None:
    first = {"sync": Ratios(worker=3.0, all=3.5), "other": Ratios(worker=1.0, all=1.0)}
    assert least(first, {"sync": Ratios(worker=2.0, all=4.0)}) == {
        "sync": Ratios(worker=2.0, all=3.5),
        "other": Ratios(worker=1.0, all=1.0),
    }


def test_the_committed_file_can_be_read() -> None:
    expected = msgspec.json.decode(FILE.read_bytes(), type=Expected)
    assert expected.ratios
    assert expected.instructions
