"""What the command line's tests share: a home of their own, and commands run in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from metis.cli import leaving
from metis.cli.app import run_app


@dataclass(frozen=True)
class Said:
    """What a command said and how it left."""

    code: int
    out: str
    err: str


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory with nothing in it, and an environment without keys."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENROUTER_API_KEY", "METIS_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    for name in ("METIS_DEBUG", "METIS_DATA", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def metis(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run one command as `python -m metis` would."""

    def run(*arguments: str) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            leaving.leave(lambda: run_app(arguments))
        captured = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return Said(left.value.code, captured.out, captured.err)

    return run


@pytest.fixture
def data(home: Path) -> Path:
    """The data directory that commands use here."""
    return home / ".local" / "share" / "metis"
