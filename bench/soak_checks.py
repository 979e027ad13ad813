"""What must hold after a soak: ledger and upstream agree call by call, memory and descriptors are flat. Pure."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from bench.faults import OUTPUT_TOKENS, STATUSES, Served

MORE_MEMORY: Final = 0.10
MORE_MEMORY_MB: Final = 8.0
MORE_DESCRIPTORS: Final = 8


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the ledger's calls, as far as it is compared."""

    call_id: str
    state: str
    outcome: str
    http_status: int
    upstream_request_id: str
    usage_source: str
    input_tokens: int
    output_tokens: int


def ledger_against_upstream(
    calls: Sequence[Call], served: Sequence[Served], *, kills: int
) -> list[str]:
    """Compare them call by call; a sentence for each disagreement, most of a kind once.

    A worker that is killed takes calls with it: each stands in the ledger as interrupted, and may have been
    written down without having left. Nothing else may differ.
    """
    said: list[str] = []
    interrupted = sum(call.outcome == "interrupted" for call in calls)
    beyond = len(calls) - len(served)
    if beyond < 0 or beyond > interrupted:
        said.append(
            f"the ledger has {len(calls)} calls ({interrupted} interrupted), "
            f"the upstream was asked {len(served)} times"
        )
    if interrupted and not kills:
        said.append(f"{interrupted} calls are interrupted, and no worker was killed")
    still_open = sum(call.state != "closed" for call in calls)
    if still_open:
        said.append(f"{still_open} calls never ended in the ledger")
    ids = Counter(call.upstream_request_id for call in calls if call.upstream_request_id)
    twice = [name for name, count in ids.items() if count > 1]
    if twice:
        said.append(f"{len(twice)} upstream calls stand in the ledger twice, such as {twice[0]}")
    by_id = {call.upstream_request_id: call for call in calls if call.upstream_request_id}
    kinds: dict[str, list[str]] = {}
    missing = 0
    for one in served:
        call = by_id.get(one.request_id)
        if call is None:
            missing += one.ended == "whole" or one.fault in STATUSES
            continue
        wrong = _disagreement(call, one)
        if wrong:
            kinds.setdefault(wrong, []).append(one.request_id)
    said += [f"{len(ids)} times: {wrong}, such as {ids[0]}" for wrong, ids in kinds.items()]
    # A worker that was killed, or whose client had left, never saw the head of an answer that was written to it.
    unseen = sum(call.outcome in ("interrupted", "aborted") for call in calls)
    if missing > unseen:
        said.append(
            f"{missing} answered calls are in the ledger without their id ({unseen} unseen)"
        )
    return said


def _disagreement(call: Call, one: Served) -> str:
    if call.outcome in ("interrupted", "aborted"):
        return ""
    if one.fault in STATUSES:
        good = call.outcome == "error" and call.http_status == STATUSES[one.fault]
        return "" if good else f"status {STATUSES[one.fault]} is {call.outcome} {call.http_status}"
    if one.ended != "whole":
        return "" if call.outcome == "error" else f"a call that broke off is {call.outcome}"
    if call.outcome != "ok":
        return f"a whole answer is {call.outcome}"
    counted = (call.usage_source, call.input_tokens, call.output_tokens)
    if counted != ("reported", one.number, OUTPUT_TOKENS):
        return "usage is not what the upstream reported"
    return ""


def flat(name: str, samples: Sequence[float], warm: float) -> tuple[str, bool]:
    """Compare memory after the warm-up (this part of all samples) with that of the end, by medians.

    Gives a sentence, and whether it grew by no more than `MORE_MEMORY` or `MORE_MEMORY_MB`, whichever is more.
    """
    width = max(1, len(samples) * 15 // 100)
    at = int(len(samples) * warm)
    begun = statistics.median(samples[at : at + width])
    ended = statistics.median(samples[-width:])
    allowed = max(begun * MORE_MEMORY, MORE_MEMORY_MB)
    said = f"{name}: {begun:.1f} MB after the warm-up, {ended:.1f} MB at the end"
    return said, ended - begun <= allowed


def same_descriptors(before: Mapping[str, int], after: Mapping[str, int]) -> list[str]:
    """A sentence for each process that holds more descriptors at rest than it did after the warm-up."""
    return [
        f"{name}: {before[name]} descriptors at rest after the warm-up, {count} at the end"
        for name, count in after.items()
        if count > before[name] + MORE_DESCRIPTORS
    ]
