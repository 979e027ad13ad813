"""The fuzzer for a few seconds; and that it finds what is broken, stops what hangs, and leaves what it found."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fuzz import __main__ as program
from fuzz import properties
from fuzz.__main__ import Run, batch, main, try_large
from fuzz.case import Case
from fuzz.large import NAMES, large
from fuzz.properties import Broken, check
from fuzz.scaling import check_growth

from metis.wire import SHAPES

CHAT = next(shape for shape in SHAPES if shape.name == "openai_chat")


def break_chat(monkeypatch: pytest.MonkeyPatch, decode: Callable[[bytes], Any]) -> None:
    broken = dataclasses.replace(CHAT, decode_request=decode)
    others = tuple(shape for shape in SHAPES if shape is not CHAT)
    monkeypatch.setattr("fuzz.case.SHAPES", (broken, *others))


def test_nothing_is_found_in_a_few_seconds(tmp_path: Path) -> None:
    run = Run(tmp_path)
    try_large(run, seed_number=1, size=40_000, seconds=2.0, memory=False)
    batch(run, 0, 1, 150)
    for number in (1, 2, 3):
        batch(run, number, 1, 250)
    assert run.finds == {}
    assert run.examples == {"well-formed": 150, "changed": 750, "large": run.examples["large"]}
    assert run.examples["large"] > 10


def test_one_seed_gives_the_same_examples(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def seen(seed: int, number: int) -> list[Case]:
        cases: list[Case] = []
        monkeypatch.setattr(program, "check", cases.append)
        batch(Run(tmp_path), number, seed, 30)
        return cases

    for number in (0, 1):
        assert seen(5, number) == seen(5, number)
        assert seen(5, number) != seen(6, number)


def test_an_exception_of_another_kind_is_found_left_in_a_file_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def decode(body: bytes) -> Any:
        if b'"tools"' in body:
            raise KeyError("tools")
        return CHAT.decode_request(body)

    break_chat(monkeypatch, decode)
    monkeypatch.setattr(program, "_LARGE_SHARE", 0.0)
    assert main(["--seconds", "2", "--save", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "FOUND openai_chat request: KeyError left: 'tools'" in said
    assert "1 found" in said
    (path,) = tmp_path.iterdir()
    assert b'"tools"' in path.read_bytes()
    with pytest.raises(Broken, match="KeyError left"):
        main(["--again", str(path)])
    monkeypatch.undo()
    assert main(["--again", str(path)]) == 0


def test_what_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(body: bytes) -> Any:
        while True:
            pass

    break_chat(monkeypatch, decode)
    monkeypatch.setattr(properties, "_LEAST_CPU_S", 0.05)
    with pytest.raises(Broken, match=r"over 0\.1 s of CPU for 2 bytes"):
        check(Case("openai_chat", "request", b"{}", mutated=True))


def test_what_costs_its_size_squared_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(body: bytes) -> Any:
        for start in range(0, len(body), 10):
            body[start:].count(b"x")
        return CHAT.decode_request(body)

    break_chat(monkeypatch, decode)
    with pytest.raises(Broken, match="4 times the size took"):
        check_growth("a long text", "openai_chat", 60_000)


def test_an_answer_of_very_many_calls_costs_what_its_length_says() -> None:
    check_growth("an answer of calls", "openai_responses", 250_000)


@pytest.mark.parametrize(("name", "shape"), NAMES)
def test_large_inputs_are_about_as_large_as_they_are_said_to_be(name: str, shape: Any) -> None:
    assert 30_000 < len(large(name, shape, 100_000).data) < 500_000
