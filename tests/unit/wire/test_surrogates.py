"""Half characters in JSON text: told from pairs and from what only looks like one."""

from __future__ import annotations

import pytest

from metis.wire.surrogates import without_lone_surrogates


@pytest.mark.parametrize(
    ("text", "readable"),
    [
        (rb'"\ud800"', rb'"\ufffd"'),
        (rb'"\uDC00\ud800x"', rb'"\ufffd\ufffdx"'),
        (rb'"\ud83d\ude00"', rb'"\ud83d\ude00"'),
        (rb'"\ud83d\ud83d\ude00"', rb'"\ufffd\ud83d\ude00"'),
        (rb'"\ude00\ud83d"', rb'"\ufffd\ufffd"'),
        (rb'"\\ud800"', rb'"\\ud800"'),
        (rb'"\\\ud800"', rb'"\\\ufffd"'),
        (rb'"\n\" \u00e4"', rb'"\n\" \u00e4"'),
    ],
)
def test_only_halves_are_replaced(text: bytes, readable: bytes) -> None:
    assert without_lone_surrogates(text) == readable


def test_text_without_any_is_not_copied() -> None:
    text = b'{"a":"b"}'
    assert without_lone_surrogates(text) is text
