"""How answers are shown: tables for people, JSON for programs, plain aligned text where nobody looks."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, TypeVar, cast

import msgspec

from metis.analytics.window import within_calendar

T = TypeVar("T")

# What a terminal acts on instead of showing it: C0 and C1 controls, line separators, changes of direction.
_CONTROL: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")


def harmless(value: T) -> T:
    """The same text, or the same value with all its texts, with escapes (`\\x1b`) for control characters.

    For whatever came from outside (a model's name, a session id, an upstream's words) on its way to a
    terminal, before it is put among line ends and colours of ours.
    """
    if isinstance(value, str):
        return cast("T", _CONTROL.sub(_escape, value))
    plain = msgspec.to_builtins(value)
    return msgspec.convert(_harmless_builtins(plain), type(value))


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def _harmless_builtins(value: Any) -> Any:
    match value:
        case str():
            return harmless(value)
        case list() | tuple():
            return [_harmless_builtins(item) for item in cast("Sequence[Any]", value)]
        case dict():
            items = cast("dict[Any, Any]", value).items()
            return {harmless(name): _harmless_builtins(item) for name, item in items}
        case _:
            return value


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    print(_harmless_json(msgspec.json.format(msgspec.json.encode(value), indent=2).decode()))


def print_json_line(value: Any) -> None:
    """Print a value as one line of JSON, at once."""
    print(_harmless_json(msgspec.json.encode(value).decode()), flush=True)


def _harmless_json(text: str) -> str:
    """The same JSON: what JSON leaves raw inside strings, and a terminal acts on, as JSON's own escapes.

    So too all that standard output's encoding has no form for.
    """
    if not _writes_all():
        text = _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)
    return _CONTROL.sub(
        lambda found: found[0] if found[0] == "\n" else json.dumps(found[0])[1:-1], text
    )


def _writes_all() -> bool:
    """Whether standard output has a form for every text."""
    return (sys.stdout.encoding or "utf-8").lower().replace("-", "").startswith("utf")


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()
) -> None:
    """Print rows under their columns; those named in `right` are aligned right. Never cut off in a pipe."""
    rows = [[harmless(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich(columns, rows, right)
    else:
        print(aligned([columns, *rows], [column in right for column in columns]))


def _print_rich(
    columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]
) -> None:
    # Loaded only where a person looks: it costs more than the query it shows.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: a name like [red] is no markup
    Console().print(table)


def aligned(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    """Rows as plain text in columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(right))]
    lines = (
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    )
    return "\n".join(lines)


def note(message: str) -> None:
    """Say something beside the answer, on standard error."""
    print("\n".join(map(harmless, message.split("\n"))), file=sys.stderr)


def colour(text: str, code: str) -> str:
    """Colour text where standard output is a terminal that wants it. `code` is an SGR code such as "31"."""
    plain = (
        not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    )
    return text if plain else f"\x1b[{code}m{text}\x1b[0m"


def local_time(ts_us: int | None, form: str = "%Y-%m-%d %H:%M") -> str:
    """Write epoch microseconds as the clock on the wall; "" for None."""
    if ts_us is None:
        return ""
    return datetime.fromtimestamp(within_calendar(ts_us) / 1e6).strftime(form)
