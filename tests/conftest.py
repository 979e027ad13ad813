"""What tests of all kinds share: where recorded traffic and real clients are found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _folder(variable: str, default: str, what: str) -> Path:
    folder = Path(os.environ.get(variable) or ROOT / default)
    if not folder.is_dir():
        pytest.fail(f"no {what} at {folder}; set {variable} to where it is")
    return folder


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of recorded exchanges (one JSON Lines file per API)."""
    return _folder("METIS_CORPUS", "../shared/corpus", "recorded traffic")


@pytest.fixture(scope="session")
def client_tools() -> Path:
    """The folder with the scripts that drive real client tools, and their fake upstream."""
    return _folder("METIS_CLIENTS", "../shared/clients", "client scripts")
