"""What a run found, as values for programs and as rows for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from metis.conformance.dialects.dialect import Name
from metis.conformance.scenario import Outcome, Verdict

COLUMNS: Final = ("shape", "group", "pass", "fail", "error", "n/a", "passed of applicable")


@dataclass(frozen=True)
class Score:
    """How many of some verdicts there are of each outcome."""

    passed: int
    failed: int
    errors: int
    not_applicable: int

    @property
    def applicable(self) -> int:
        return self.passed + self.failed + self.errors

    @property
    def share(self) -> str:
        """The share that passed of what applies, in percent."""
        return f"{100 * self.passed / self.applicable:.0f} %" if self.applicable else "n/a"


def score(verdicts: Iterable[Verdict]) -> Score:
    counted: Counter[Outcome] = Counter(one.outcome for one in verdicts)
    return Score(counted["pass"], counted["fail"], counted["error"], counted["not applicable"])


def rows(verdicts: Sequence[Verdict]) -> list[tuple[str, ...]]:
    """One row for each shape and group, and one for each shape's total; COLUMNS names the cells."""
    found: list[tuple[str, ...]] = []
    for shape in shapes_of(verdicts):
        own = [one for one in verdicts if one.case.shape == shape]
        for group in groups_of(own):
            inside = [one for one in own if one.case.scenario.group == group]
            found.append(_row(shape, group, score(inside)))
        found.append(_row(shape, "total", score(own)))
    return found


def _row(shape: str, group: str, total: Score) -> tuple[str, ...]:
    counts = (total.passed, total.failed, total.errors, total.not_applicable)
    return (shape, group, *(str(count) for count in counts), total.share)


def shapes_of(verdicts: Iterable[Verdict]) -> list[Name]:
    return list(dict.fromkeys(one.case.shape for one in verdicts))


def groups_of(verdicts: Iterable[Verdict]) -> list[str]:
    return list(dict.fromkeys(one.case.scenario.group for one in verdicts))


def as_json(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Everything, for `--json`: totals by shape and group, and each case with its reason."""
    return {
        "scores": [dict(zip(COLUMNS, row, strict=True)) for row in rows(verdicts)],
        "cases": [
            {
                "shape": one.case.shape,
                "upstream": one.case.upstream,
                "id": one.case.id,
                "group": one.case.scenario.group,
                "title": one.case.scenario.title,
                "issues": list(one.case.scenario.issues),
                "outcome": one.outcome,
                "why": one.why,
                "duration_s": round(one.duration_s, 3),
            }
            for one in verdicts
        ],
    }
