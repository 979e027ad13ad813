"""Where a setting stands in a TOML text."""

from __future__ import annotations

import pytest

from metis.config.toml_lines import line_of

TEXT = '''# a comment
data_dir = "x"

[gateway] # the door
port = 1
relay.openai.provider = "openai"

[providers."my.one"]
headers = { a = "b" }
note = """
[gateway]
port = 2
"""
kind = "openai"

[[catalog.prices]]
model = "x"

[[catalog.prices]]
model = "y"
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("data_dir",), 2),
        (("gateway",), 4),
        (("gateway", "port"), 5),
        (("gateway", "relay", "openai", "provider"), 6),
        (("providers", "my.one", "kind"), 14),
        (("providers", "my.one", "headers", "a"), 9),
        (("catalog", "prices", "0", "model"), 17),
        (("catalog", "prices", "1", "model"), 20),
        (("nowhere",), None),
        ((), None),
    ],
)
def test_the_line_of_a_setting_or_its_nearest_parent(path: tuple[str, ...], line: int | None):
    assert line_of(TEXT, path) == line
