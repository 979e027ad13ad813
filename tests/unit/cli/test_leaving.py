"""Outputs and places that cannot be used: what a command says, how it leaves, and what it leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

METIS = f"{sys.executable} -m metis"


def _run(line: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in a home of its own."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), **variables}
    return subprocess.run(
        ["/bin/bash", "-c", line], cwd=home, env=environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


def _active(home: Path) -> list[dict[str, object]]:
    return json.loads(_run(f"{METIS} keys list --json", home).stdout)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home directory with one key."""
    _run(f"{METIS} keys create --name before", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("output", "reason"),
    [(">&-", "Bad file descriptor"), (">/dev/full", "No space left on device")],
)
@pytest.mark.parametrize("command", ["keys list", "keys list --json", "version", "config show"])
def test_an_answer_that_cannot_be_written_is_said_in_one_line(
    home: Path, command: str, output: str, reason: str
) -> None:
    done = _run(f"{METIS} {command} {output}", home)
    assert (done.returncode, done.stderr) == (1, f"metis: cannot write: {reason}\n")


@pytest.mark.parametrize("output", [">&-", ">/dev/full", "| true"])
@pytest.mark.parametrize("command", ["create", "create --json"])
def test_a_key_that_nobody_saw_is_revoked(home: Path, command: str, output: str) -> None:
    # The reader of a pipe must be gone before the key is written.
    line = f"{METIS} keys {command} {output}; exit ${{PIPESTATUS[0]}}"
    if output == "| true":
        line = f"(sleep 0.3; exec {METIS} keys {command}) {output}; exit ${{PIPESTATUS[0]}}"
    done = _run(line, home)
    assert done.returncode == 1
    assert done.stderr.startswith("metis: the key could not be shown (")
    assert len(done.stderr.splitlines()) == 1
    assert [key["name"] for key in _active(home)] == ["before"]


def test_a_rotated_key_that_nobody_saw_is_revoked(home: Path) -> None:
    [old] = _active(home)
    done = _run(f"{METIS} keys rotate {old['prefix']} --grace 1h >/dev/full", home)
    assert done.returncode == 1
    assert [key["key_id"] for key in _active(home)] == [old["key_id"]]


@pytest.mark.parametrize("line", ["up --port 0 >/dev/full", "up --port 0 --host 192.0.2.1"])
def test_the_first_key_of_a_start_that_failed_is_revoked(tmp_path: Path, line: str) -> None:
    config = "[providers.scripted]\n"
    (tmp_path / "metis.toml").write_text(config)
    done = _run(f"{METIS} {line} --admin-port 0", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("metis: cannot ")
    keys = json.loads(_run(f"{METIS} keys list --all --json", tmp_path).stdout)
    assert [(key["name"], key["state"]) for key in keys] == [("first", "revoked")]


def test_everything_closed_is_survived(home: Path) -> None:
    assert _run(f"{METIS} keys list <&- >&- 2>&-", home).returncode == 1
    assert [key["name"] for key in _active(home)] == ["before"]


def test_an_encoding_without_a_form_for_a_text_gets_an_escape(home: Path) -> None:
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    made = _run(
        f"{METIS} keys create --name 'Gr\u00fc\u00dfe \U0001f600' --json", home, **ascii_only
    )
    assert (made.returncode, made.stderr) == (0, "")
    assert json.loads(made.stdout)["name"] == "Gr\u00fc\u00dfe \U0001f600"
    listed = _run(f"{METIS} keys list", home, **ascii_only)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "Gr\\xfc\\xdfe" in listed.stdout


@pytest.mark.parametrize("command", ["keys list", "up", "doctor", "config check"])
def test_a_working_directory_that_is_gone_is_said_so(home: Path, command: str) -> None:
    done = _run(f"mkdir gone; cd gone; rmdir ../gone; {METIS} {command}", home)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "metis: the working directory cannot be used: No such file or directory; change to another one\n"
    )
