"""Edits to JSON text change what they say and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metis.cli.editing.jsonc import ABSENT, JsonDocument
from metis.clients.client import Item
from metis.errors import ConfigError

TEXT = """{
    // mine
    "env": {"A": "1"},
    "permissions": {
        "allow": ["Bash"],  /* why */
    },
}
"""


def _edited(text: str, *edits: tuple) -> str:
    document = JsonDocument(text)
    for path, value in edits:
        if value is ABSENT:
            document.remove(path)
        else:
            document.set(path, value)
    return document.render()


def test_comments_indentation_and_trailing_commas_stay():
    assert _edited(
        TEXT,
        (("env", "A"), "2"),
        (("env", "B"), "3"),
        (("permissions", "deny"), []),
        (("apiKeyHelper",), "cat 'k'"),
    ) == (
        """{
    // mine
    "env": {"A": "2", "B": "3"},
    "permissions": {
        "allow": ["Bash"],
        "deny": [],  /* why */
    },
    "apiKeyHelper": "cat 'k'",
}
"""
    )


def test_objects_on_the_way_are_made():
    assert (
        _edited("{}", (("a", "b", "c"), 1))
        == '{\n  "a": {\n    "b": {\n      "c": 1\n    }\n  }\n}'
    )
    assert _edited("", (("a",), 1)) == '{\n  "a": 1\n}\n'


def test_tabs_are_kept_as_the_unit_of_indentation():
    assert _edited('{\n\t"a": 1\n}\n', (("b", "c"), 2)) == (
        '{\n\t"a": 1,\n\t"b": {\n\t\t"c": 2\n\t}\n}\n'
    )


@pytest.mark.parametrize(
    ("gone", "expected"),
    [
        ("a", '{"b": 2, "c": 3}'),
        ("b", '{"a": 1, "c": 3}'),
        ("c", '{"a": 1, "b": 2}'),
        ("d", '{"a": 1, "b": 2, "c": 3}'),
    ],
)
def test_a_member_is_removed_with_its_comma(gone: str, expected: str):
    assert _edited('{"a": 1, "b": 2, "c": 3}', ((gone,), ABSENT)) == expected


def test_the_last_member_of_all_leaves_an_empty_object():
    assert _edited('{ "a": 1 }', (("a",), ABSENT)) == "{}"


def test_items_of_lists_are_found_by_a_field_and_added_when_missing():
    text = '{"models": [{"name": "x", "v": 1}]}'
    path = ("models", Item("name", "Metis"), "v")
    added = _edited(text, (path, 2))
    assert json.loads(added) == {
        "models": [{"name": "x", "v": 1}, {"name": "Metis", "v": 2}],
    }
    assert json.loads(_edited(added, (path, 3)))["models"][1] == {"name": "Metis", "v": 3}
    assert _edited(added, (path[:2], ABSENT)) == text


def test_a_doubled_key_is_read_as_parsers_read_it():
    assert JsonDocument('{"a": 1, "a": 2}').get(("a",)) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1', "line 1: expected ',' or '}'"),
        ('{\n"a" 1}', "line 2: expected ':'"),
        ("{a: 1}", "line 1: expected a key in double quotes"),
        ('{"a": tru}', "line 1: 'tru' is no JSON value"),
        ("[1]", "the file holds no JSON object"),
        ("{} x", "line 1: text after the end of the JSON value"),
        ("[" * 200, "line 1: nested too deeply"),
    ],
)
def test_what_is_no_json_is_refused_with_its_line(text: str, message: str):
    with pytest.raises(ConfigError) as raised:
        JsonDocument(text)
    assert str(raised.value) == message


def test_a_scalar_where_an_object_must_be_is_not_overwritten():
    with pytest.raises(ConfigError, match="expected an object where 'true' stands"):
        JsonDocument('{"env": true}').set(("env", "A"), "1")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
_OBJECTS = st.dictionaries(st.text(min_size=1, max_size=4), _VALUES, max_size=4)


@settings(max_examples=200, deadline=None)
@given(_OBJECTS, st.text(min_size=1, max_size=4), _VALUES, st.sampled_from([None, 1, 2, "\t"]))
def test_setting_then_removing_gives_what_json_itself_would(before, key, value, indent):
    text = json.dumps(before, indent=indent)
    set_to = _edited(text, ((key,), value))
    assert json.loads(set_to) == before | {key: value}
    without = {name: held for name, held in before.items() if name != key}
    assert json.loads(_edited(set_to, ((key,), ABSENT))) == without
