"""`metis keys`: shown once, then only by name; ended at once."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from metis.cli.keys import parse_duration_s
from metis.errors import UsageError


def test_the_key_alone_is_on_standard_output(metis):
    said = metis("keys", "create", "--name", "ci")
    assert said.out.startswith("sk-metis-")
    assert len(said.out.splitlines()) == 1
    assert "shown only this once" in said.err


def test_owner_and_limits_are_kept(metis):
    made = json.loads(
        metis(
            *("keys", "create", "--name", "ci", "--user", "ann", "--team", "t", "--project", "p"),
            *(
                "--model",
                "gpt-5.2",
                "--allow",
                "gpt-*",
                "--allow",
                "o*",
                "--expires",
                "2h",
                "--json",
            ),
        ).out
    )
    key = made.pop("key")
    [listed] = json.loads(metis("keys", "list", "--json").out)
    assert listed == made
    assert key.startswith(listed["prefix"] + "-")
    assert {name: listed[name] for name in ("name", "user_id", "team_id", "project_id")} == {
        "name": "ci",
        "user_id": "ann",
        "team_id": "t",
        "project_id": "p",
    }
    assert (listed["pinned_model"], listed["allowed_models"]) == ("gpt-5.2", ["gpt-*", "o*"])
    assert listed["state"].startswith("until ")


def test_a_pin_that_nobody_serves_is_told(metis, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    assert "serves" not in metis("keys", "create", "--model", "gpt-5.2").err
    said = metis("keys", "create", "--model", "nope/9")
    assert said.code == 0
    assert "no configured provider serves 'nope/9'" in said.err


def test_no_list_shows_a_secret(metis):
    key = metis("keys", "create").out.strip()
    secret = key.rpartition("-")[2]
    for arguments in (("keys", "list"), ("keys", "list", "--json"), ("keys", "list", "--all")):
        said = metis(*arguments)
        assert secret not in said.out + said.err
        assert key.removesuffix("-" + secret) in said.out


def test_a_revoked_key_leaves_the_list_and_stays_in_all(metis):
    metis("keys", "create", "--name", "a")
    prefix = json.loads(metis("keys", "list", "--json").out)[0]["prefix"]
    assert metis("keys", "revoke", prefix).out.startswith(f"revoked {prefix}")
    assert metis("keys", "list", "--json").out == "[]\n"
    assert json.loads(metis("keys", "list", "--all", "--json").out)[0]["state"] == "revoked"
    assert "there is no key yet" in metis("keys", "list").err


def test_rotating_gives_a_new_key_of_the_same_owner(metis):
    metis("keys", "create", "--name", "a", "--user", "ann")
    old = json.loads(metis("keys", "list", "--json").out)[0]
    new = json.loads(metis("keys", "rotate", old["prefix"], "--grace", "1h", "--json").out)
    assert (new["user_id"], new["replaces"]) == ("ann", old["key_id"])
    states = {
        key["key_id"]: key["state"] for key in json.loads(metis("keys", "list", "--json").out)
    }
    assert states[old["key_id"]].startswith("until ")
    assert states[new["key_id"]] == "active"
    metis("keys", "rotate", new["prefix"])
    active = {key["key_id"] for key in json.loads(metis("keys", "list", "--json").out)}
    assert old["key_id"] in active
    assert new["key_id"] not in active


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("create", "--expires", "soon"),
            "'soon' is no duration; write a number and s, m, h, d or w",
        ),
        (("create", "--expires", "99999999d"), "the key would live for over 100 years"),
        (("create", "--expires", "9" * 400 + "d"), "is too long a duration"),
        (("create", "--expires", "\u00b2d"), "is no duration"),
        (("create", "--user", " "), "user_id ' ' must be 1 to 128 printable characters"),
        (("rotate", "nope"), "there is no key 'nope'"),
    ],
)
def test_what_cannot_be_done_is_said(metis, arguments: tuple[str, ...], message: str):
    metis("keys", "create", "--name", "before")
    said = metis("keys", *arguments)
    assert said.code == (2 if "duration" in message else 1)
    assert message in said.err
    assert len(json.loads(metis("keys", "list", "--json").out)) == 1


def test_a_grace_that_is_too_long_changes_nothing(metis):
    metis("keys", "create", "--name", "a")
    [key] = json.loads(metis("keys", "list", "--json").out)
    said = metis("keys", "rotate", key["prefix"], "--grace", "99999999d")
    assert said.code == 1
    assert "90 days" in said.err
    assert json.loads(metis("keys", "list", "--json").out) == [key]


def test_a_row_with_an_expiry_beyond_the_calendar_hides_no_key(metis, data: Path):
    metis("keys", "create", "--name", "far", "--expires", "1d")
    with sqlite3.connect(data / "metis.db") as database:
        database.execute("UPDATE keys SET expires_ts = ?", (2**63 - 1,))
    assert "until 999" in metis("keys", "list").out
    [listed] = json.loads(metis("keys", "list", "--json").out)
    assert listed["expires"] == "9999-01-01T00:00:00Z"


def test_durations_are_read():
    assert [parse_duration_s(text) for text in ("90s", "15m", "2h", "1d", "1w")] == [
        90,
        900,
        7200,
        86_400,
        604_800,
    ]
    for text in ("", "h", "1", "1.5h", "-1h", "1y"):
        with pytest.raises(UsageError):
            parse_duration_s(text)
