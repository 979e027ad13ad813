"""`metis receipt` and `metis tail` over a ledger with known rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ledgers import NOON, SECOND, LedgerFile, call, decided, turn

from metis.cli import receipts
from metis.config import Config
from metis.facts.usage import Usage, UsageSource
from metis.trace.events.turn import FidelityNote


@pytest.fixture
def ledger(data: Path) -> Iterator[LedgerFile]:
    data.mkdir(parents=True)
    ledger = LedgerFile(data)
    ledger.record(
        call(
            turn_id="turn_a",
            session_id="5f0c-first",
            cost_nano_usd=1_234_567,
            usage=Usage(input_tokens=10, cache_read_tokens=90, output_tokens=7),
        ),
        decided(turn_id="turn_a"),
        turn(turn_id="turn_a", session_id="5f0c-first", response_id="msg_a"),
        call(
            NOON + SECOND,
            turn_id="turn_b",
            session_id="77aa-second",
            outcome="aborted",
            usage_source=UsageSource.ESTIMATED,
            cost_nano_usd=5,
        ),
        turn(
            NOON + SECOND,
            turn_id="turn_b",
            session_id="77aa-second",
            outcome="error",
            http_status=529,
            requested_model="auto",
            auxiliary="title",
        ),
    )
    yield ledger
    ledger.close()


def test_without_a_session_the_last_one_is_shown(metis, ledger: LedgerFile):
    said = metis("receipt")
    assert said.code == 0
    assert said.out.startswith("Receipt · claude-code session 77aa-second\n1 turn")
    assert "1 call with estimated usage ($0.000000005 of the total)" in said.out


def test_a_session_is_found_by_its_start(metis, ledger: LedgerFile):
    shown = json.loads(metis("receipt", "5f0c", "--json").out)
    assert shown["session"]["session_id"] == "5f0c-first"
    assert (shown["turns"], shown["spend"]["cost_nano_usd"]) == (1, 1_234_567)
    assert shown["spend"]["cost_usd"] == "0.001234567"
    assert "turn_list" not in shown


def test_turns_are_listed_with_the_sentence_why(metis, ledger: LedgerFile):
    said = metis("receipt", "5f0c-first", "--turns")
    assert "turn_a" in said.out
    assert "the client asked for it" in said.out
    shown = json.loads(metis("receipt", "5f0c-first", "--turns", "--json").out)
    assert [t["turn_id"] for t in shown["turn_list"]] == ["turn_a"]


@pytest.mark.parametrize("name", ["turn_a", "msg_a"])
def test_a_turn_shows_its_whole_decision(metis, ledger: LedgerFile, name: str):
    said = metis("receipt", name)
    assert said.code == 0
    assert "Why anthropic/claude-sonnet-5: the client asked for it" in said.out
    assert "override   pass     no override" in said.out
    assert "requested  choose  claude-sonnet-5  the client asked for it" in said.out
    assert "reported  $0.001234567" in said.out
    assert "dropped  $.thread  not in this shape" in said.out
    assert json.loads(metis("receipt", name, "--json").out)["decision"]["slot"] == "requested"


def test_sessions_are_listed_the_newest_first(metis, ledger: LedgerFile):
    shown = json.loads(metis("receipt", "--list", "--json").out)
    assert [s["session_id"] for s in shown] == ["77aa-second", "5f0c-first"]
    assert "77aa-second" in metis("receipt", "--list", "--limit", "1").out


def test_what_is_not_there_is_said_with_a_remedy(metis, ledger: LedgerFile):
    said = metis("receipt", "nope")
    assert said.code == 1
    assert said.err == (
        "metis: no session, turn or response 'nope' in the ledger; see 'metis receipt --list'\n"
    )


def test_the_start_of_several_sessions_asks_for_more(metis, ledger: LedgerFile):
    ledger.record(call(NOON + 2 * SECOND, session_id="5f0d-third"))
    said = metis("receipt", "5f0")
    assert said.code == 1
    assert "'5f0' is the start of 2 sessions: 5f0d-third, 5f0c-first; give more of it" in said.err


def test_an_empty_ledger_says_what_to_do(metis):
    metis("keys", "create")
    for arguments in (("receipt",), ("receipt", "--list")):
        assert "the ledger is empty; point a tool at the gateway first" in metis(*arguments).err
    assert metis("tail", "--no-follow").out == ""


def test_tail_begins_with_the_last_turns(metis, ledger: LedgerFile):
    lines = metis("tail", "--no-follow").out.splitlines()
    assert len(lines) == 2
    assert lines[0].endswith(
        "claude-code  anthropic/claude-sonnet-5  in 100 (90 cached) out 7  $0.0012  0.6 s"
    )
    assert "auto → anthropic/claude-sonnet-5" in lines[1]
    assert lines[1].endswith("title  error 529")
    assert len(metis("tail", "--no-follow", "-n", "1").out.splitlines()) == 1
    assert metis("tail", "--no-follow", "-n", "0").out == ""
    shown = json.loads(metis("tail", "--no-follow", "-n", "1", "--json").out)
    assert (shown["turn_id"], shown["cost_nano_usd"]) == ("turn_b", 5)


def test_tail_prints_what_arrives_once(
    home: Path, data: Path, ledger: LedgerFile, capsys: pytest.CaptureFixture[str]
):
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        """Each wait brings a turn; the fourth one is Ctrl-C."""
        waits.append(seconds)
        if len(waits) == 4:
            raise KeyboardInterrupt
        ledger.record(turn(NOON + len(waits) * SECOND, turn_id=f"turn_new{len(waits)}"))

    config = Config(data_dir=str(data))
    with pytest.raises(KeyboardInterrupt):
        receipts.tail_turns(config, last=0, follow=True, as_json=True, sleep=sleep)
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["turn_id"] for line in lines] == [
        "turn_new1",
        "turn_new2",
        "turn_new3",
    ]


EVIL = "\x1b]0;owned\x07\nforged\x9b2J\u202e"


@pytest.mark.parametrize(
    "arguments",
    [
        ("tail", "--no-follow"),
        ("tail", "--no-follow", "--json"),
        ("receipt",),
        ("receipt", "--turns"),
        ("receipt", "--list"),
        ("receipt", "--list", "--json"),
        ("receipt", "turn_evil"),
        ("receipt", "turn_evil", "--json"),
        ("receipt", "evil"),
    ],
    ids=" ".join,
)
def test_what_came_from_outside_cannot_command_the_terminal(
    metis, ledger: LedgerFile, arguments: tuple[str, ...]
):
    later = NOON + 5 * SECOND
    owner = {"session_id": f"evil{EVIL}", "client": EVIL, "requested_model": EVIL, "model": EVIL}
    ledger.record(
        call(later - 1, turn_id="turn_other", session_id=f"evil{EVIL}2"),
        call(later, turn_id="turn_evil", provider=EVIL, **owner),
        turn(later, turn_id="turn_evil", provider=EVIL, auxiliary=EVIL, **owner),
    )
    said = metis(*arguments)
    shown = said.out + said.err
    assert "owned" in shown
    assert not set(shown) & set("\x1b\x07\x9b\u202e")
    assert not any(line.startswith("forged") for line in shown.splitlines())


@pytest.fixture
def changed(ledger: LedgerFile) -> LedgerFile:
    """A session of three turns: one as it came, two with changes."""
    notes = (
        FidelityNote("lost", "messages[0].content[1]", "no place"),
        FidelityNote("lost", "messages[4].content[0]", "no place"),
        FidelityNote("edited", "$.model", "the routed model's name"),
    )
    for number, said in enumerate(((), notes, notes[2:]), 1):
        where = {"turn_id": f"turn_c{number}", "session_id": "88bb-third"}
        ledger.record(
            call(NOON + (number + 2) * SECOND, **where),
            turn(NOON + (number + 2) * SECOND, fidelity=said, **where),
        )
    return ledger


def test_changes_are_gathered_over_a_sessions_turns(metis, changed: LedgerFile):
    said = metis("receipt", "88bb", "--fidelity")
    assert said.code == 0
    assert said.out.splitlines() == [
        "3 turns, 1 untouched; edited 2, mapped 0, carried 0, lost 2",
        "  edited      2x  $.model  the routed model's name",
        "  lost        2x  messages[*].content[*]  no place",
    ]
    shown = json.loads(metis("receipt", "88bb", "--fidelity", "--json").out)
    assert shown["counts"] == {"edited": 2, "mapped": 0, "carried": 0, "lost": 2}
    assert shown["changes"][1] == {
        "verb": "lost",
        "path": "messages[*].content[*]",
        "why": "no place",
        "turns": 1,
        "times": 2,
    }


def test_changes_of_one_turn_and_of_none(metis, changed: LedgerFile):
    said = metis("receipt", "turn_c3", "--fidelity")
    assert said.out.splitlines()[0] == "1 turn, 0 untouched; edited 1, mapped 0, carried 0, lost 0"
    assert metis("receipt", "turn_zz", "--fidelity").code == 1
