"""`make corpus`: every recorded exchange through the codecs, and a table of what came of it.

Asked of each record: is a request or an answer equal after decoding and encoding; does an edit of the model and of
every text change just that (so that nothing is kept raw); does a stream give the same events however it is cut; and is
anything of what it says neither said in the other shapes nor listed as lost. Exits with 1 when anything failed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, Final

from corpus.checks import Verdict, check
from corpus.records import Record, default_folder, read

_VERDICTS: Final[tuple[Verdict, ...]] = ("pass", "carried", "lost", "failed")
_SHOWN: Final = 5


class Report:
    """Outcomes, summed by API and check, and by API and feature."""

    def __init__(self) -> None:
        self.records: Counter[str] = Counter()
        self.unread: Counter[str] = Counter()
        self.checks: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.features: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.failures: list[dict[str, str]] = []

    def add(self, record: Record, *, every_byte: bool) -> None:
        self.records[record.api] += 1
        if record.shape is None:
            self.unread[record.api] += 1
            return
        worst: Verdict = "pass"
        for outcome in check(record, every_byte=every_byte):
            self.checks[record.api, outcome.what][outcome.verdict] += 1
            worst = max(worst, outcome.verdict, key=_VERDICTS.index)
            if outcome.verdict == "failed":
                self.failures.append(
                    {"record": record.name, "api": record.api, "check": outcome.what}
                    | {"detail": outcome.detail}
                )
        for feature in record.features or ("none",):
            self.features[record.api, feature][worst] += 1

    def as_json(self) -> dict[str, Any]:
        def rows(found: dict[tuple[str, str], Counter[str]], name: str) -> list[dict[str, Any]]:
            return [
                {"api": api, name: what, "records": counts.total()}
                | {verdict: counts[verdict] for verdict in _VERDICTS}
                for (api, what), counts in sorted(found.items())
            ]

        return {
            "records": dict(self.records),
            "without_codec": dict(self.unread),
            "checks": rows(self.checks, "check"),
            "features": rows(self.features, "feature"),
            "failures": self.failures,
        }

    def table(self, found: dict[tuple[str, str], Counter[str]], head: str) -> str:
        lines = [
            f"{'API':20} {head:32} {'records':>8} {'pass':>6} {'carried':>8} {'lost':>6} {'FAILED':>7}"
        ]
        for (api, what), counts in sorted(found.items()):
            shown = [counts[verdict] or "-" for verdict in _VERDICTS]
            lines.append(
                f"{api:20} {what[:32]:32} {counts.total():8} "
                f"{shown[0]:>6} {shown[1]:>8} {shown[2]:>6} {shown[3]:>7}"
            )
        return "\n".join(lines)


def run(folder: Path, *, every_byte: bool, only: str | None = None) -> Report:
    """Check every record in a folder; the terminal shows how far it is."""
    report, shows = Report(), sys.stderr.isatty()
    for number, record in enumerate(read(folder), 1):
        if only is None or only == record.api:
            report.add(record, every_byte=every_byte)
        if shows and number % 50 == 0:
            print(
                f"\r{number} records, {len(report.failures)} failed checks", end="", file=sys.stderr
            )
    if shows:
        print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    return report


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make corpus", description=__doc__)
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        help="of *.jsonl; default: $METIS_CORPUS, else ../shared/corpus",
    )
    parser.add_argument("--api", help="only records of this one, such as openai.chat")
    parser.add_argument(
        "--every-byte", action="store_true", help="cut long streams at every byte too (minutes)"
    )
    parser.add_argument("--features", action="store_true", help="the table by feature as well")
    parser.add_argument(
        "--all-failures", action="store_true", help=f"show more than {_SHOWN} of each check"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything here")
    options = parser.parse_args(words)
    folder: Path = options.folder or default_folder()
    report = run(folder, every_byte=options.every_byte, only=options.api)
    if not report.records or (options.api and not report.checks):
        raise SystemExit(
            f"nothing to check in {folder}" + (f" for --api {options.api}" if options.api else "")
        )
    print(report.table(report.checks, "check"))
    if options.features:
        print("\n" + report.table(report.features, "feature"))
    if report.unread:
        said = ", ".join(f"{api} {count}" for api, count in sorted(report.unread.items()))
        print(f"\nno codec here yet, not checked: {said}")
    _show(report.failures, most=None if options.all_failures else _SHOWN)
    if options.json:
        options.json.write_text(json.dumps(report.as_json(), indent=1), encoding="utf-8")
    print(
        f"\n{sum(report.records.values())} records in {folder}; {len(report.failures)} checks failed"
    )
    return 1 if report.failures else 0


def _show(failures: list[dict[str, str]], most: int | None) -> None:
    by_check: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for failure in failures:
        by_check[failure["api"], failure["check"]].append(failure)
    for (api, what), found in sorted(by_check.items()):
        print(f"\n{api}, {what}: {len(found)} failed")
        for failure in found[:most]:
            print(f"  {failure['record']}: {failure['detail']}")


if __name__ == "__main__":
    sys.exit(main())
