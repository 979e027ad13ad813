"""How much output a request allows: what the money that is set aside for it goes by."""

from __future__ import annotations

import pytest

from metis.turn.intake import max_tokens
from metis.wire.splice import read_body


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        (b"{}", 8192),
        (b'{"max_tokens":5}', 5),
        (b'{"max_tokens":null}', 8192),
        (b'{"max_tokens":1,"max_completion_tokens":9000000}', 9_000_000),
        (b'{"max_output_tokens":7,"max_tokens":3}', 7),
        (b'{"max_tokens":100,"n":128}', 12_800),
        (b'{"max_tokens":100,"n":null}', 100),
        (b'{"max_tokens":100000.0}', 100_000),
        (b'{"max_tokens":-5}', 0),
        (b'{"max_tokens":"many"}', 8192),
        (b'{"max_tokens":1%b}' % (b"0" * 325), 10**9),
        (b'{"max_tokens":1%b}' % (b"0" * 5000), 10**9),
    ],
)
def test_the_largest_limit_counts_and_nonsense_is_what_is_usual(body: bytes, tokens: int) -> None:
    assert max_tokens(read_body(body).fields) == tokens
