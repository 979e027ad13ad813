"""Text on its way to a terminal."""

from __future__ import annotations

import json

import pytest

from metis.analytics.ports import SessionSummary
from metis.cli.output import harmless, print_json, print_table


def test_controls_become_escapes_and_all_else_stays() -> None:
    assert harmless("\x1b[31m\x07\r\n\x7f\x9b\u2028\u202e\ud800") == (
        "\\x1b[31m\\x07\\r\\n\\x7f\\x9b\\u2028\\u202e\\ud800"
    )
    assert (
        harmless("Grüße \U0001f469\u200d\U0001f4bb 東京") == "Grüße \U0001f469\u200d\U0001f4bb 東京"
    )


def test_a_value_keeps_its_type_and_its_numbers() -> None:
    fields = dict.fromkeys(SessionSummary.__struct_fields__, 0)
    types = SessionSummary.__annotations__
    given = {name: "\x1b" if types[name] == "str" else 0 for name in fields}
    found = harmless(SessionSummary(**given))
    assert found == SessionSummary(**{n: "\\x1b" if v == "\x1b" else v for n, v in given.items()})


def test_json_says_the_same_without_a_control(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"a": "\x1b\x7f\x9b\u202e\n"}
    print_json(value)
    out = capsys.readouterr().out
    assert json.loads(out) == value
    assert out.replace("\n", "").isprintable()


def test_a_cell_cannot_break_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("A",), [("x\ny",)])
    assert capsys.readouterr().out == "A\nx\\ny\n"
