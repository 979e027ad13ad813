from __future__ import annotations

from bench.measuring import Row
from bench.report import Spread, spread, summaries, table


def row(cpu_us: float, *, all_us: float = 0.0, p50: float = 1.0, **more: int) -> Row:
    return Row(
        per_second=100.0,
        latency_ms=[p50, p50, p50 * 2, p50 * 3],
        first_chunk_ms=[],
        cpu_us=cpu_us,
        all_us=all_us or cpu_us,
        load_share=0.5,
        **more,
    )


ROUNDS = {
    "sync": {
        "direct": [row(0, p50=0.2), row(0, p50=0.4), row(0, p50=0.3)],
        "nginx": [row(20), row(40), row(30)],
        "metis": [row(50, all_us=80, p50=1.2), row(80, all_us=160, p50=1.4), row(90, all_us=90)],
    }
}


def test_a_ratio_is_made_within_its_round_before_the_median_is_taken() -> None:
    found = summaries(ROUNDS)["sync"]["metis"]
    assert (found.ratio, found.all_ratio) == (Spread(2.5, 2.0, 3.0), Spread(4.0, 3.0, 4.0))


def test_added_latency_is_what_lies_over_the_bare_upstream_of_the_same_round() -> None:
    assert summaries(ROUNDS)["sync"]["metis"].added_p50_ms == Spread(1.0, 0.7, 1.0)


def test_without_the_yardstick_there_is_no_ratio() -> None:
    found = summaries({"sync": {"metis": [row(50)]}})["sync"]["metis"]
    assert (found.ratio, found.cpu_us) == (None, Spread(50, 50, 50))


def test_a_target_that_was_not_asked_is_left_out() -> None:
    assert list(summaries({"sync": {"nginx": [row(20)], "peer": []}})["sync"]) == ["nginx"]


def test_nothing_has_no_spread() -> None:
    assert spread([]) is None


def test_a_table_says_what_is_over_its_limit_and_for_whom() -> None:
    lines = table("sync", "requests", summaries(ROUNDS)["sync"], 2.0).splitlines()
    assert lines[0] == "sync  [CPU per request, limit 2x nginx]"
    assert lines[-1].endswith("  OVER")
    lines = table("sync", "requests", summaries(ROUNDS)["sync"], 2.5).splitlines()
    assert lines[-1].endswith("  ok; OVER with recording")
    lines = table("sync", "requests", summaries(ROUNDS)["sync"], 4.0).splitlines()
    assert lines[-1].endswith("  ok")


def test_a_table_shows_errors() -> None:
    broken = row(20, errors=2)
    broken.first_error = "status 500"
    said = table("sync", "requests", summaries({"sync": {"nginx": [broken]}})["sync"], None)
    assert said.endswith("2 ERRORS: status 500")
