"""Edits to a JSON object's top level leave every other byte where it was."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metis.errors import CodecError
from metis.wire.splice import (
    edit_body,
    flag_field,
    member_spans,
    read_body,
    replace_fields,
    text_field,
    top_level,
    without_fields,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(["model", "stream", "a", 'q"\\', "é", "", "x y"]), JSON)


def test_white_space_escapes_and_order_survive() -> None:
    body = b'{ "b" : 1.0,\n\t"mod\\u0065l":  "x\\u0079" , "a":[1 ,2] }\n'
    assert replace_fields(body, member_spans(body, top_level(body)), {"model": b'"new"'}) == (
        b'{ "b" : 1.0,\n\t"mod\\u0065l":  "new" , "a":[1 ,2] }\n'
    )


@given(OBJECTS, JSON, st.sampled_from([None, 1, 3]), st.booleans())
def test_edited_body_differs_in_the_edited_field_alone(
    fields: dict[str, Any], value: Any, indent: int | None, ascii_only: bool
) -> None:
    body = json.dumps(fields, indent=indent, ensure_ascii=ascii_only).encode()
    edited = replace_fields(
        body, member_spans(body, top_level(body)), {"model": json.dumps(value).encode()}
    )
    assert json.loads(edited) == {**fields, "model": value}
    if "model" in fields:
        before, after = top_level(body), top_level(edited)
        assert list(before) == list(after)
        assert all(bytes(before[name]) == bytes(after[name]) for name in fields if name != "model")
        assert len(edited) - len(body) == len(bytes(after["model"])) - len(bytes(before["model"]))


@pytest.mark.parametrize("body", [b"{}", b"{ }", b" {\n}\n", b'{"a":{}}', b'{"a":"}"} '])
def test_missing_field_is_added_at_the_end(body: bytes) -> None:
    edited = replace_fields(body, member_spans(body, top_level(body)), {"model": b"1", "x": b"[2]"})
    assert json.loads(edited) == {**json.loads(body), "model": 1, "x": [2]}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"1", b'{"a":', b"\xff", b'{"a":1}}', b"null", b'"x"']
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(CodecError):
        top_level(body)


def test_doubled_decisive_field_is_refused_and_nested_ones_are_not() -> None:
    names = ("model", "stream")
    nested = b'{"model":"a","metadata":{"model":"b","x":["model"]},"text":"\\"model\\""}'
    member_spans(nested, top_level(nested), names)
    doubled = b'{"model":"cheap","x":{"y":[1,"}"]},"model":"dear"}'
    with pytest.raises(CodecError, match="model: is there twice"):
        read_body(doubled, names)
    escaped = b'{"model":"cheap","mod\\u0065l":"dear"}'
    with pytest.raises(CodecError, match="twice"):
        read_body(escaped, names)


def test_fields_of_wrong_types_are_named() -> None:
    fields = {
        "model": msgspec.Raw(b"5"),
        "stream": msgspec.Raw(b'"yes"'),
        "n": msgspec.Raw(b"null"),
    }
    with pytest.raises(CodecError, match="model: must be a string"):
        text_field(fields, "model")
    with pytest.raises(CodecError, match="stream: must be true or false"):
        flag_field(fields, "stream")
    assert (text_field(fields, "n"), flag_field(fields, "n"), flag_field(fields, "x")) == (
        None,
        None,
        None,
    )


@pytest.mark.parametrize("values", [("1", "2"), ('"a"', '"bb"'), ('{"x":"}"}', "[]"), ("1", "1")])
def test_doubled_undecisive_field_is_passed_on_as_it_is(values: tuple[str, str]) -> None:
    first, second = values
    body = f'{{"x":{first},"model":"m","x":{second}}}'.encode()
    edited = replace_fields(
        body, member_spans(body, top_level(body), ("model",)), {"model": b'"n"'}
    )
    assert edited == body.replace(b'"m"', b'"n"')


def test_body_nested_too_deeply_is_refused() -> None:
    with pytest.raises(CodecError, match="nested too deeply"):
        top_level(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def test_body_whose_strings_are_no_utf_8_is_refused() -> None:
    with pytest.raises(CodecError, match="not valid JSON"):
        read_body(b'{"a":["\xff"]}')
    accented = '{"a":["é"]}'.encode()
    assert read_body(accented).text == accented
    assert member_spans(*read_body(accented)) == {"a": (5, 11)}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(['"model"', '"x"', '"mod\\u0065l"', '"\\u0078"', '"é"', '"m"']),
            st.sampled_from(["1", '""', '"a,\\"model\\":1"', "[ ]", '{"model":2}', '"é"', "null"]),
            st.sampled_from([":", " : "]),
        ),
        max_size=5,
    ),
    st.sampled_from([",", " , "]),
)
def test_doubled_decisive_field_is_found_however_it_is_written(
    members: list[tuple[str, str, str]], comma: str
) -> None:
    text = "{" + comma.join(name + colon + value for name, value, colon in members) + "}"
    names = [json.loads(name) for name, _, _ in members]
    if names.count("model") > 1:
        with pytest.raises(CodecError, match="twice"):
            read_body(text.encode(), ("model",))
    else:
        assert set(read_body(text.encode(), ("model",)).fields) == set(names)


@given(st.binary(max_size=12), st.integers(0, 40_000))
def test_bytes_are_utf_8_wherever_the_pieces_are_cut(middle: bytes, before: int) -> None:
    text = b'{"a":["' + b"\xc3\xa9" * 9_000 + b"x" * before + middle.replace(b'"', b"") + b'"]}'
    try:
        text.decode()
    except UnicodeDecodeError as exc:
        with pytest.raises(CodecError, match="not valid JSON"):
            read_body(text)
        assert exc.start > 0
    else:
        try:
            json.loads(text)
        except ValueError:
            return
        assert read_body(text).text == text


def test_a_crafted_double_is_not_hidden_by_lengths_that_add_up() -> None:
    text = (
        b'{"model":"gpt-5-pro","b":1,"c":22,"model":"gpt-5-nan",'
        b'"b":{"\\"yyyyyyyyyyyyyyyyyyyyyyyyyyyy":0}}'
    )
    with pytest.raises(CodecError, match="model: is there twice"):
        read_body(text, ("model",))
    edited = replace_fields(text, member_spans(text, top_level(text)), {"model": b'"m"'})
    assert json.loads(edited)["model"] == "m"


@pytest.mark.parametrize(
    ("text", "names", "left"),
    [
        (b'{"a":1,"b":2,"c":3}', ["a"], b'{"b":2,"c":3}'),
        (b'{"a":1,"b":2,"c":3}', ["b"], b'{"a":1,"c":3}'),
        (b'{"a":1,"b":2,"c":3}', ["c"], b'{"a":1,"b":2}'),
        (b'{"a":1,"b":2,"c":3}', ["a", "b"], b'{"c":3}'),
        (b'{"a":1,"b":2,"c":3}', ["c", "a"], b'{"b":2}'),
        (b'{"a":1}', ["a"], b"{}"),
        (b'{ "a" : [1, 2] ,\n "b" : {"a":1} , "c":3 }', ["a"], b'{\n "b" : {"a":1} , "c":3 }'),
        (b'{ "a" : [1, 2] ,\n "b" : {"a":1} , "c":3 }', ["b"], b'{ "a" : [1, 2] , "c":3 }'),
        (b'{"\\u0061":1,"b":2}', ["a"], b'{"b":2}'),
    ],
)
def test_members_are_left_out_and_nothing_else_moves(text: bytes, names: list[str], left: bytes):
    assert without_fields(text, names) == left
    assert json.loads(left) == {k: v for k, v in json.loads(text).items() if k not in names}


def test_a_body_is_edited_and_cut_at_once():
    body = read_body(b'{"model":"m","max_tokens":5,"stream":true}')
    edited = edit_body(body, {"model": None, "stream": None, "max_tokens": b"6", "v": b'"x"'})
    assert edited == b'{"max_tokens":6,"v":"x"}'
    assert edit_body(body, {"unheard": None}) == body.text
