"""Options that many commands share, and what each command begins and ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from metis.config import Loaded

ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Configuration file (default: $METIS_CONFIG, ./metis.toml, then the user's).",
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data", metavar="DIR", help="Data directory: keys, ledger, spool (default: $METIS_DATA)."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def loaded(config_file: str | None, data: str | None) -> Loaded:
    """The configuration every command but `up` works on. Raises ConfigError."""
    # Loaded when a command runs, not when its help is shown.
    from metis.config import UpOptions, load_config

    return load_config(UpOptions(config=config_file, data=data))


def leave_with(code: int) -> NoReturn:
    """End the command with its exit code."""
    raise typer.Exit(code)


def examples(*lines: str) -> str:
    """An epilog of examples, one a line (an empty line between paragraphs is a line break to Typer)."""
    return "\n\n".join(("Examples:", *lines))
