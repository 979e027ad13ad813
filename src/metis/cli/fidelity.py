"""`metis receipt --fidelity`: what the gateway edited, mapped, carried and lost, gathered over a session's turns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from metis.analytics.ports import TurnDetail
from metis.cli.output import harmless

_VERBS: Final = ("edited", "mapped", "carried", "lost")
_INDEX: Final = re.compile(r"\[\d+\]")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of change: `path` with its places in lists left open, in how many turns, and how often in all."""

    verb: str
    path: str
    why: str
    turns: int
    times: int


class Fidelity(msgspec.Struct, frozen=True, kw_only=True):
    """A session's changes, the commonest of each verb first. `untouched` counts turns that passed as they came."""

    turns: int
    untouched: int
    counts: dict[str, int]
    changes: tuple[Change, ...]


def gather(details: Sequence[TurnDetail]) -> Fidelity:
    """Sum the notes of some turns."""
    times: Counter[tuple[str, str, str]] = Counter()
    turns: Counter[tuple[str, str, str]] = Counter()
    for detail in details:
        kinds = [(one.verb, _INDEX.sub("[*]", one.path), one.why) for one in detail.fidelity]
        times.update(kinds)
        turns.update(set(kinds))
    order = sorted(times, key=lambda kind: (_rank(kind[0]), -times[kind], kind))
    counts: Counter[str] = Counter()
    for (verb, _, _), count in times.items():
        counts[verb] += count
    return Fidelity(
        turns=len(details),
        untouched=sum(not detail.fidelity for detail in details),
        counts={verb: counts[verb] for verb in _VERBS},
        changes=tuple(
            Change(verb=verb, path=path, why=why, turns=turns[kind], times=times[kind])
            for kind in order
            for verb, path, why in (kind,)
        ),
    )


def _rank(verb: str) -> int:
    return _VERBS.index(verb) if verb in _VERBS else len(_VERBS)


def lines_of(found: Fidelity) -> list[str]:
    """The same for people."""
    noun = "turn" if found.turns == 1 else "turns"
    lines = [
        f"{found.turns} {noun}, {found.untouched} untouched; "
        + ", ".join(f"{verb} {count}" for verb, count in found.counts.items())
    ]
    for change in map(harmless, found.changes):
        often = f"{change.times}x" if change.times > 1 else ""
        path = change.path or "$"
        lines.append(f"  {change.verb:<8}{often:>6}  {path}  {change.why}")
    return lines
