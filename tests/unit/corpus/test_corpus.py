"""The corpus check itself: it sees differences, finds what was lost in silence, and passes on what is recorded."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from corpus import checks
from corpus.__main__ import main
from corpus.differences import MISSING, Difference, differences
from corpus.records import default_folder
from corpus.values import Said, Value, is_told, values_of

from metis.ir.request import Request
from metis.wire import carry
from metis.wire.anthropic_messages import ANTHROPIC_MESSAGES
from metis.wire.codec import Encoded, Note
from metis.wire.openai_chat import OPENAI_CHAT

MESSAGE = {"role": "user", "content": "hi there"}


def recorded(folder: Path, **changed: Any) -> Path:
    """A folder with one recorded chat request."""
    record = {
        "id": "one",
        "api": "openai.chat",
        "features": ["tools"],
        "request": {"body": {"model": "m", "messages": [MESSAGE]}},
        "response": {"status": 200, "sse": 'data: {"choices":[]}\n\ndata: [DONE]\n\n'},
        **changed,
    }
    (folder / "a.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    return folder


def test_differences_are_found_at_their_deepest_place() -> None:
    before = {"a": [1, {"b": "x"}], "c": 1, "gone": None}
    after = {"a": [1, {"b": "y"}, 2], "c": 1.0}
    assert differences(before, after) == [
        Difference("$.a[1].b", "x", "y"),
        Difference("$.a[2]", MISSING, 2),
        Difference("$.c", 1, 1.0),
        Difference("$.gone", None, MISSING),
    ]
    assert differences(before, json.loads(json.dumps(before))) == []


def test_values_are_found_inside_json_text_and_form_is_none() -> None:
    body = {"type": "x", "n": 2, "call": {"arguments": '{"city":"Oslo","days":3}'}, "empty": ""}
    assert list(values_of(body)) == [
        Value("n", 2),
        Value("call.arguments.city", "Oslo"),
        Value("call.arguments.days", 3),
    ]


def test_a_value_is_said_in_any_form() -> None:
    from metis.ir.content import Thinking

    carried = carry.wrap(Thinking(signature="SIGNED", origin="openai_responses"))
    said = Said({"input": {"city": "Oslo"}, "signature": carried, "text": "two\n\nparts", "n": 3})
    assert all(
        said.says(one) for one in ("Oslo", "SIGNED", "parts", 3, "data:image/png;base64,Oslo")
    )
    assert not said.says("Bergen")
    assert not said.says(4)


@pytest.mark.parametrize(
    ("path", "note", "told"),
    [
        ("messages[1].name", Note("lost", "messages[1].name"), True),
        ("choices[0].logprobs.a", Note("lost", "", "left out: choices[0].logprobs, b"), True),
        ("choices[0].message.a", Note("lost", "", "left out: choices[0].logprobs, b"), False),
        ("b.c", Note("lost", "", "left out: choices[0].logprobs, b"), True),
        ("b.c", Note("lost", "", "left out: b.d, e"), False),
        ("messages[1].name", Note("lost", "messages[1]"), True),
        ("messages[1].name", Note("lost", "messages[2]"), False),
        ("messages[1].name", Note("lost", "messages[0].name", "no place (and 3 more)"), True),
        ("messages[1].content[0].text", Note("lost", "messages[1].content[1]"), False),
        ("messages[1].reasoning_content", Note("lost", "messages[1].content[0]"), True),
        (
            "system_fingerprint",
            Note("lost", "", "fields without a place: x, system_fingerprint"),
            True,
        ),
        ("system_fingerprint", Note("lost", "", "fields without a place: x"), False),
        (
            "messages[1].content[0].image_url.detail",
            Note("lost", "messages[1].content[0].detail"),
            True,
        ),
    ],
)
def test_a_note_tells_of_what_it_names_and_of_nothing_else(
    path: str, note: Note, told: bool
) -> None:
    assert is_told(Value(path, "v"), [note]) is told


def test_a_codec_that_drops_a_value_without_a_word_fails() -> None:
    body = {"model": "m", "messages": [MESSAGE], "user": "ann"}
    notes: list[Note] = []

    def encode(request: Request) -> Encoded:
        return Encoded(json.dumps({"model": "m", "messages": [MESSAGE]}).encode(), tuple(notes))

    other = dataclasses.replace(ANTHROPIC_MESSAGES, encode_request=encode)
    assert checks._cross(OPENAI_CHAT, other, body) == ("failed", "lost in silence: user")
    notes.append(Note("lost", "user"))
    assert checks._cross(OPENAI_CHAT, other, body) == ("lost", "")


def test_a_folder_of_good_records_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = tmp_path / "found.json"
    assert main([str(recorded(tmp_path)), "--features", "--json", str(found)]) == 0
    said = json.loads(found.read_text())
    assert said["records"] == {"openai.chat": 1}
    assert {row["check"] for row in said["checks"]} == {
        *("request", "edit", "to anthropic_messages", "to openai_responses", "to bedrock_converse"),
        "to google_generate_content",
        *("stream", "stream to anthropic_messages", "stream to openai_responses"),
    }
    assert said["failures"] == []
    assert "0 checks failed" in capsys.readouterr().out


def test_what_no_codec_reads_is_counted_and_not_skipped_in_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(recorded(tmp_path, api="openai.embeddings"))]) == 0
    assert "not checked: openai.embeddings 1" in capsys.readouterr().out


def test_a_request_that_cannot_be_read_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = recorded(tmp_path, request={"body": {"model": "m", "messages": "none"}})
    assert main([str(folder)]) == 1
    assert "openai.chat, request: 1 failed" in capsys.readouterr().out


def test_no_recordings_and_broken_ones_are_said_so(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no recordings"):
        main([str(tmp_path)])
    (tmp_path / "a.jsonl").write_text('{"id": "x"}\n')
    with pytest.raises(SystemExit, match=r"a\.jsonl:1 is no recorded exchange"):
        main([str(tmp_path)])


def test_all_that_was_recorded_passes(capsys: pytest.CaptureFixture[str]) -> None:
    folder = default_folder()
    if not folder.is_dir():
        pytest.fail(f"{folder} is missing; set METIS_CORPUS to the folder with the recordings")
    assert main([str(folder)]) == 0, capsys.readouterr().out[-3000:]
