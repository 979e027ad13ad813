"""`metis up`: load the configuration, start the gateway, and tell the person at the terminal how to use it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO, cast

import msgspec
import structlog

from metis import __version__
from metis.bootstrap.run import run_gateway
from metis.config import Ready, UpOptions, load_config, located
from metis.errors import ConfigError

ADDRESS_FILE = "run/gateway.json"


class RunningGateway(msgspec.Struct, frozen=True):
    """Where the gateway on a data directory answers: in `run/gateway.json` while it serves."""

    url: str
    admin_url: str
    pid: int


def run_up(options: UpOptions) -> int:
    """Serve until stopped. Raises MetisError when the gateway cannot start."""
    loaded = load_config(options)
    _log_to_stderr()
    address = Path(loaded.config.data_dir) / ADDRESS_FILE

    def on_ready(ready: Ready) -> None:
        running = RunningGateway(ready.url, ready.admin_url, ready.pid)
        address.write_bytes(msgspec.json.encode(running))
        ours.append(address)
        if not options.quiet:
            print(banner(ready), flush=True)

    # Removed only if written here: a start that fails may do so because another gateway is serving.
    ours: list[Path] = []
    try:
        return run_gateway(loaded.config, options, on_ready)
    except ConfigError as exc:
        raise located(loaded, exc) from exc
    finally:
        for path in ours:
            path.unlink(missing_ok=True)


def banner(ready: Ready) -> str:
    """What a person needs after the start: address, key, and the lines to paste."""
    key = ready.key or f"{ready.key_prefix}-…"
    lines = [
        f"Metis {__version__} is serving at {bold(ready.url)}",
        "",
        f"  key        {bold(key)}{_key_note(ready)}",
        f"  providers  {', '.join(ready.providers)}",
        f"  admin      {ready.login_url}",
        f"  data       {ready.data_dir}",
        "",
    ]
    if ready.embedded and set(ready.providers) <= {"local"}:
        lines += [
            "  No provider key was found, so the small embedded model answers every request, whatever",
            "  model it asks for. For real work set ANTHROPIC_API_KEY, OPENAI_API_KEY or",
            "  OPENROUTER_API_KEY and start again.",
            "",
        ]
    lines += [
        "Point a tool at it:",
        "",
        f"  export ANTHROPIC_BASE_URL={ready.url} ANTHROPIC_AUTH_TOKEN={key}",
        f"  export OPENAI_BASE_URL={ready.url}/v1 OPENAI_API_KEY={key}",
        "  metis connect claude --write        (or codex, opencode, cline, continue, aider, ...)",
        "",
        "Watch it with 'metis tail', stop it with Ctrl-C.",
    ]
    return "\n".join(lines)


def _key_note(ready: Ready) -> str:
    if ready.key is None:
        return "  shown at the first start; 'metis keys create' makes another"
    return "  for this run only" if ready.ephemeral else "  shown only this once: keep it"


def bold(text: str) -> str:
    """Emphasised where standard output is a terminal that wants it."""
    plain = (
        not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    )
    return text if plain else f"\x1b[1m{text}\x1b[0m"


def terminal_renderer(*, colors: bool) -> structlog.dev.ConsoleRenderer:
    """Log lines for a person, with plain tracebacks: the usual ones print every variable, prompts too (P7)."""
    return structlog.dev.ConsoleRenderer(
        colors=colors, exception_formatter=structlog.dev.plain_traceback
    )


class LogFile:
    """A file for lines that may be lost: a full disk or a closed pipe must not end what is being served."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()


def _log_to_stderr() -> None:
    """Standard output is the banner's; logs are lines of JSON unless a person is looking."""
    terminal = sys.stderr.isatty()
    renderer = (
        terminal_renderer(colors=not os.environ.get("NO_COLOR"))
        if terminal
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if terminal else [structlog.processors.format_exc_info]),
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(file=cast(TextIO, LogFile(sys.stderr))),
    )
