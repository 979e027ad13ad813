"""`metis conformance`: play the conformance suite against any gateway and say what it found."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from metis.cli.output import colour, note, print_table
from metis.conformance.dialects import DIALECTS
from metis.conformance.dialects.dialect import Name
from metis.conformance.report import COLUMNS, as_json, rows
from metis.conformance.runner import chosen, run
from metis.conformance.scenario import SHAPES, Case, Verdict
from metis.conformance.stage import Target
from metis.errors import MetisError

_HEADER: Final = re.compile(rf"(?:({'|'.join(DIALECTS)})=)?([\w-]+):\s*(.*)")
_COLOURS: Final = {"pass": "32", "fail": "31", "error": "31", "not applicable": "2"}


class WrongUse(ValueError):
    """Options that cannot be meant; the message says why."""


@dataclass(frozen=True)
class ConformanceRequest:
    """The command's options; `json_file` is where the whole result goes."""

    target: Target
    cases: Sequence[Case]
    silence_s: float = 20.0
    upstream_host: str = "127.0.0.1"
    upstream_port: int = 9400
    json_file: str | None = None


def target_from(
    url: str, key: str, models: Sequence[str], headers: Sequence[str], alias: str | None
) -> Target:
    """The target that options describe; `models` stand in the order of the APIs. Raises WrongUse."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise WrongUse(f"--target must be an http:// or https:// address, not {url!r}")
    sorted_headers: dict[str, tuple[tuple[str, str], ...]] = {}
    for line in headers:
        found = _HEADER.fullmatch(line)
        if found is None:
            raise WrongUse(f"--header must be NAME:VALUE or UPSTREAM=NAME:VALUE, not {line!r}")
        name, value = found[2].lower(), found[3]
        own = sorted_headers.setdefault(found[1] or "", ())
        sorted_headers[found[1] or ""] = (*own, (name, value))
    return Target(
        url=url,
        key=key,
        models=dict(zip(SHAPES, models, strict=True)),
        headers=sorted_headers,
        alias=alias,
    )


def shapes_from(names: Sequence[str]) -> tuple[Name, ...]:
    """The shapes that were asked for, all of them when none was. Raises WrongUse."""
    unknown = [name for name in names if name not in SHAPES]
    if unknown:
        raise WrongUse(f"no shape {unknown[0]!r}; there are {', '.join(SHAPES)}")
    return tuple(shape for shape in SHAPES if shape in names) or SHAPES


def cases_of(shapes: tuple[Name, ...], only: Sequence[str]) -> list[Case]:
    """The cases to be played. Raises WrongUse."""
    try:
        return chosen(shapes, only)
    except ValueError as exc:
        raise WrongUse(str(exc)) from exc


def list_cases(cases: Sequence[Case]) -> int:
    """Show which cases there are."""
    print_table(
        ("shape", "case", "group", "title", "from"),
        [
            (c.shape, c.id, c.scenario.group, c.scenario.title, ", ".join(c.scenario.issues))
            for c in cases
        ],
    )
    return 0


def run_conformance(request: ConformanceRequest) -> int:
    """Play, show progress on standard error and the table on standard output; 1 when anything failed.

    Raises MetisError when the upstream's port is taken or the result cannot be written.
    """
    cases, host, port = request.cases, request.upstream_host, request.upstream_port
    target = replace(request.target, silence_s=request.silence_s)
    note(f"playing {len(cases)} cases against {target.url}; upstream on {host}:{port}")
    progress = _Progress(len(cases))
    try:
        verdicts = asyncio.run(run(target, cases, host=host, port=port, told=progress.told))
    except OSError as exc:
        raise MetisError(f"the upstream cannot listen on {host}:{port}: {exc}") from exc
    if request.json_file:
        _write(Path(request.json_file), verdicts)
    _show(verdicts)
    return 1 if any(one.outcome in ("fail", "error") for one in verdicts) else 0


@dataclass
class _Progress:
    """Counts what has ended."""

    all: int
    ended: int = 0

    def told(self, verdict: Verdict) -> None:
        self.ended += 1
        why = f"  ({verdict.why})" if verdict.outcome == "not applicable" else ""
        case = f"{verdict.case.shape} {verdict.case.id}"
        note(f"[{self.ended:3}/{self.all}] {verdict.outcome:14} {case}{why[:160]}")


def _show(verdicts: Sequence[Verdict]) -> None:
    for one in verdicts:
        if one.outcome in ("fail", "error"):
            case = one.case
            print(f"{colour(one.outcome.upper(), _COLOURS[one.outcome])} {case.shape} {case.id}")
            issues = f" ({', '.join(case.scenario.issues)})" if case.scenario.issues else ""
            print(f"    {case.scenario.title}{issues}\n    {one.why}")
    print_table(COLUMNS, rows(verdicts), right=COLUMNS[2:])


def _write(path: Path, verdicts: Sequence[Verdict]) -> None:
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(as_json(verdicts)), indent=2))
    except OSError as exc:
        raise MetisError(f"the result cannot be written to {path}: {exc}") from exc
