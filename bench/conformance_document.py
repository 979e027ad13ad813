"""A conformance run as docs/conformance.md: what was asked of whom, who passed what, and what was seen where not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from metis.conformance.dialects import DIALECTS
from metis.conformance.dialects.dialect import Name
from metis.conformance.report import groups_of, score, shapes_of
from metis.conformance.scenario import Case, Verdict

_HEAD: Final = Path(__file__).with_name("conformance_head.md")
_WORDS: Final = {"pass": "pass", "fail": "**FAIL**", "error": "**no answer**"}
_MOST_WHY: Final = 260


@dataclass(frozen=True)
class Entry:
    """One gateway's verdicts."""

    name: str
    version: str
    verdicts: tuple[Verdict, ...]

    def by_case(self) -> dict[Case, Verdict]:
        return {one.case: one for one in self.verdicts}


def document(entries: Sequence[Entry], day: date) -> str:
    """The whole page."""
    shapes = shapes_of(entries[0].verdicts)
    parts = [_HEAD.read_text(encoding="utf-8").strip(), _result(entries, day)]
    parts += [_groups(entries, shape) for shape in shapes]
    parts += [_matrix(entries, shape) for shape in shapes]
    parts += [_beyond(entries), _failures(entries)]
    return "\n\n".join(parts) + "\n"


def _table(titles: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in body)])


def _result(entries: Sequence[Entry], day: date) -> str:
    body: list[list[str]] = []
    shapes = shapes_of(entries[0].verdicts)
    for entry in entries:
        cells = [entry.name, entry.version]
        for shape in shapes:
            cells.append(_share(one for one in entry.verdicts if one.case.shape == shape))
        body.append([*cells, _share(entry.verdicts)])
    titles = ["", "version", *(DIALECTS[shape].title for shape in shapes), "all"]
    return (
        f"## Result\n\nRun on {day.isoformat()}, every gateway on the same machine in the same run. Passed of what "
        f"applies; n/a where the gateway does not offer the API.\n\n{_table(titles, body)}"
    )


def _share(verdicts: Iterable[Verdict]) -> str:
    total = score(verdicts)
    return f"{total.passed}/{total.applicable} ({total.share})" if total.applicable else "n/a"


def _groups(entries: Sequence[Entry], shape: Name) -> str:
    own = [[one for one in entry.verdicts if one.case.shape == shape] for entry in entries]
    names = [name for name in groups_of(own[0]) if name != "beyond the wire"]
    body = [
        [name, *(_share(v for v in verdicts if v.case.scenario.group == name) for verdicts in own)]
        for name in names
    ]
    title = DIALECTS[shape].title
    table = _table(["group", *(entry.name for entry in entries)], body)
    return f"### {title}, by group\n\n{table}"


def _matrix(entries: Sequence[Entry], shape: Name) -> str:
    found = [entry.by_case() for entry in entries]
    cases = [case for case in found[0] if case.shape == shape]
    body: list[list[str]] = []
    for case in cases:
        if case.scenario.group == "beyond the wire":
            continue
        cells = [_WORDS.get(one[case].outcome, "n/a") for one in found]
        said = case.scenario.title
        body.append([f"`{case.id}`", said, ", ".join(case.scenario.issues), *cells])
    title = DIALECTS[shape].title
    table = _table(["case", "what", "from", *(entry.name for entry in entries)], body)
    return f"## Cases: a client of {title}\n\n{table}"


def _beyond(entries: Sequence[Entry]) -> str:
    seen: dict[str, Verdict] = {}
    for one in entries[0].verdicts:
        if one.case.scenario.group == "beyond the wire":
            seen.setdefault(one.case.scenario.id, one)
    body = [
        [f"`{name}`", one.case.scenario.title, one.why, ", ".join(one.case.scenario.issues)]
        for name, one in seen.items()
    ]
    return (
        "## Reported, and not on the wire\n\nThese exist as scenarios and are never applicable, so that nobody "
        f"takes them for tried.\n\n{_table(['scenario', 'what', 'why not', 'from'], body)}"
    )


def _failures(entries: Sequence[Entry]) -> str:
    parts = ["## What was seen where a case failed or does not apply"]
    for entry in entries:
        failed = [one for one in entry.verdicts if one.outcome in ("fail", "error")]
        lines = [f"- {one.case.shape} `{one.case.id}`: {_plain(one.why)}" for one in failed]
        parts.append(f"### {entry.name}\n\n" + ("\n".join(lines) or "Nothing failed."))
        reasons = _reasons(entry)
        if reasons:
            parts.append("Does not apply:\n\n" + "\n".join(reasons))
    return "\n\n".join(parts)


def _reasons(entry: Entry) -> list[str]:
    """One line for each reason why cases do not apply, with how many."""
    counted: dict[tuple[str, str], list[str]] = {}
    for one in entry.verdicts:
        if one.outcome == "not applicable" and one.case.scenario.group != "beyond the wire":
            counted.setdefault((one.case.shape, _plain(one.why)), []).append(one.case.id)
    return [
        f"- {shape}, {len(ids)} cases such as `{ids[0]}`: {why}"
        if len(ids) > 1
        else f"- {shape} `{ids[0]}`: {why}"
        for (shape, why), ids in counted.items()
    ]


def _plain(text: str) -> str:
    """Text of strangers, on one line, with nothing in it that Markdown would read."""
    line = " ".join(text.split())
    short = line if len(line) <= _MOST_WHY else line[:_MOST_WHY] + "…"
    for mark in "\\`*_[]<>|":
        short = short.replace(mark, f"\\{mark}")
    return short
