"""`metis exec`: run one command through a gateway of its own, or the running one, and show what it cost."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from metis.accounts.keys import KeySpec, key_id_of, parse
from metis.analytics.ports import LedgerFilter
from metis.analytics.receipt import Receipt, receipt, render_text, to_json
from metis.analytics.window import Window
from metis.bootstrap.offline import gateway_pid, open_accounts, open_baseline, open_ledger
from metis.cli.connect import gateway_url, preferred_model
from metis.cli.output import harmless, note
from metis.clients import client_for_command
from metis.clients.client import Client, Gateway, Launch
from metis.clients.sdk import SDK
from metis.config import Loaded
from metis.errors import ConfigError, MetisError
from metis.providers import PROVIDERS

_START_S: Final = 30.0
_STOP_S: Final = 90.0
_SETTLE_S: Final = 5.0
_LAST_LINES: Final = 15
_POLL_S: Final = 0.02
_FORWARDED: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_NOT_FOUND: Final = 127
_NOT_EXECUTABLE: Final = 126
_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecRequest:
    """What was asked. `receipt_file` gets the receipt as JSON, `as_json` shows it so."""

    command: Sequence[str]
    url: str | None = None
    key: str | None = None
    model: str | None = None
    receipt_file: str | None = None
    as_json: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Through:
    """The gateway a command goes through. `in_our_ledger`: its calls can be read here afterwards."""

    url: str
    key: str
    in_our_ledger: bool


class _ReadyFile(msgspec.Struct):
    url: str
    key: str


def run_exec(loaded: Loaded, request: ExecRequest) -> int:
    """Run it, print the receipt to standard error, and give the command's own exit code."""
    refusal = _cannot_run(request.command[0])
    if refusal:
        return refusal
    start_us = time.time_ns() // 1000
    with ExitStack() as stack:
        private = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="metis-exec-")))
        through_stack = stack.enter_context(ExitStack())
        through = through_stack.enter_context(_through(loaded, request, private))
        code = _run(loaded, request, through, private)
        through_stack.close()  # the gateway has ended: all it wrote is in the ledger
        _tell(loaded, request, through, start_us)
    return code


@contextmanager
def _through(loaded: Loaded, request: ExecRequest, private: Path) -> Generator[Through]:
    """A running gateway, or one of our own until the end of the block."""
    config = loaded.config
    if request.url is None and gateway_pid(config) is None:
        with _own_gateway(loaded, private) as ready:
            yield Through(url=ready.url, key=ready.key, in_our_ledger=True)
        return
    local = request.url is None or request.url.rstrip("/") == gateway_url(config)
    url = (
        gateway_url(config) if request.url is None else request.url.rstrip("/").removesuffix("/v1")
    )
    if request.key is not None:
        yield Through(url=url, key=request.key, in_our_ledger=local)
        return
    if not local:
        raise ConfigError(
            f"{url} is not the gateway of this data directory; pass its key with --key"
        )
    with open_accounts(config) as accounts:
        spec = KeySpec(name=f"exec {Path(request.command[0]).name}"[:100], ephemeral=True)
        minted = accounts.create_key(spec, now_ts=time.time_ns() // 1000, actor="cli")
        try:
            yield Through(url=url, key=minted.plaintext, in_our_ledger=True)
            _wait_until_settled(loaded, minted.record.key_id)
        finally:
            accounts.revoke_key(minted.record.key_id, now_ts=time.time_ns() // 1000, actor="cli")


@contextmanager
def _own_gateway(loaded: Loaded, private: Path) -> Generator[_ReadyFile]:
    """A gateway on free ports, started as a process and ended, drained, with the block."""
    ready_file, log = private / "ready.json", private / "gateway.log"
    arguments = [sys.executable, "-m", "metis", "up", "--port", "0", "--admin-port", "0"]
    arguments += ["--host", "127.0.0.1", "--admin-host", "127.0.0.1", "--quiet"]
    arguments += ["--ready-file", str(ready_file), "--data", loaded.config.data_dir]
    if loaded.path is not None:
        arguments += ["--config", str(loaded.path)]
    with log.open("wb") as output:
        # A group of its own: Ctrl-C is the command's to handle, and the gateway must outlive it.
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - this process has one thread
        )
    try:
        yield _wait_until_ready(
            process, ready_file, log, _START_S + loaded.config.embedded.start_timeout_s
        )
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _die_with_parent() -> None:
    """Ask the kernel to end the gateway when we are killed: nobody else would (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_until_ready(
    process: subprocess.Popen[bytes], ready_file: Path, log: Path, timeout_s: float
) -> _ReadyFile:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if ready_file.exists():
            return msgspec.json.decode(ready_file.read_bytes(), type=_ReadyFile)
        if process.poll() is not None:
            raise ConfigError(f"the gateway did not start:\n{_last_lines(log)}")
        time.sleep(_POLL_S)
    raise ConfigError(f"the gateway was not ready after {timeout_s:.0f} s:\n{_last_lines(log)}")


def _last_lines(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
    return "\n".join(f"  {line}" for line in lines) or "  (it said nothing)"


def _run(loaded: Loaded, request: ExecRequest, through: Through, private: Path) -> int:
    client = client_for_command(request.command[0])
    config = loaded.config
    model = request.model or (preferred_model(config) if client.needs_model else "")
    gateway = Gateway(
        url=through.url,
        key=through.key,
        model=model,
        home=str(Path.home()),
        environ=os.environ,
    )
    command, environment = prepare(client, gateway, request.command, private)
    for settings in config.providers.values():
        if settings.api_key_env and settings.api_key_env not in _set_by(client, gateway):
            environment.pop(settings.api_key_env, None)
    try:
        process = subprocess.Popen(command, env=environment)
    except OSError as exc:  # no program after all: a script without its first line, a broken binary
        note(f"metis: cannot run {command[0]!r}: {exc.strerror}")
        return _NOT_EXECUTABLE
    return _supervise(process)


def _cannot_run(name: str) -> int:
    """The exit code a shell gives for a command that cannot be run, with the reason said; 0 when it can."""
    if shutil.which(name) is not None:
        return 0
    exists = os.sep in name and Path(name).exists()
    note(f"metis: cannot run {name!r}: {'it is not executable' if exists else 'no such command'}")
    return _NOT_EXECUTABLE if exists else _NOT_FOUND


def prepare(
    client: Client, gateway: Gateway, command: Sequence[str], private: Path
) -> tuple[list[str], dict[str, str]]:
    """The command and the environment it runs in: ours without provider keys, with all the SDKs', then its tool's."""
    environment = {
        name: value for name, value in gateway.environ.items() if name not in _PROVIDER_SECRETS
    }
    launches = [_launch(SDK, gateway)]
    if client is not SDK:
        launches.append(_launch(client, gateway))
    arguments: list[str] = []
    for launch in launches:
        for name in launch.unset:
            environment.pop(name, None)
        for name, value in launch.environment:
            environment[name] = value.replace("{private}", str(private))
        if not _conflicting(launch, command):
            arguments += [a.replace("{private}", str(private)) for a in launch.arguments]
            for name, content in launch.files:
                path = private / name
                path.touch(mode=0o600)
                path.write_text(content)
    environment |= {"METIS_URL": gateway.url, "METIS_KEY": gateway.key}
    _spare_the_proxy(environment)
    return [command[0], *arguments, *command[1:]], environment


# The gateway's own credentials, and what would win over the variables set instead.
_PROVIDER_SECRETS: Final = frozenset(
    {kind.key_env for kind in PROVIDERS if kind.key_env} | {"ANTHROPIC_AUTH_TOKEN"}
)


def _launch(client: Client, gateway: Gateway) -> Launch:
    return client.launch(gateway) if client.launch is not None else Launch()


def _set_by(client: Client, gateway: Gateway) -> frozenset[str]:
    launches = (_launch(SDK, gateway), _launch(client, gateway))
    return frozenset(name for launch in launches for name, _ in launch.environment)


def _conflicting(launch: Launch, command: Sequence[str]) -> bool:
    return any(
        word == flag or word.startswith(f"{flag}=")
        for word in command[1:]
        for flag in launch.conflicts
    )


def _spare_the_proxy(environment: dict[str, str]) -> None:
    """A proxy in the environment must not get requests for this machine."""
    if any(name.lower() in ("http_proxy", "https_proxy", "all_proxy") for name in environment):
        for name in ("NO_PROXY", "no_proxy"):
            hosts = [host for host in environment.get(name, "").split(",") if host]
            environment[name] = ",".join(dict.fromkeys([*hosts, "127.0.0.1", "localhost"]))


def _supervise(process: subprocess.Popen[bytes]) -> int:
    """Wait for the command, hand signals on, and give its exit code as a shell would."""

    def forward(number: int, frame: object) -> None:
        process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    # At a terminal Ctrl-C reaches the whole group, the command included; elsewhere it is ours to hand on.
    before[signal.SIGINT] = signal.signal(
        signal.SIGINT, (lambda number, frame: None) if _in_foreground() else forward
    )
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def _in_foreground() -> bool:
    try:
        with Path("/dev/tty").open() as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


def _wait_until_settled(loaded: Loaded, key_id: str) -> None:
    """Wait until the running gateway has recorded what the command did: no call open, nothing new arriving."""
    deadline = time.monotonic() + _SETTLE_S
    seen = -1
    with open_ledger(loaded.config) as ledger:
        while time.monotonic() < deadline:
            calls = ledger.calls(LedgerFilter(key_id=key_id), limit=100_000)
            if len(calls) == seen and all(call.completed_ts is not None for call in calls):
                return
            seen = len(calls)
            time.sleep(3 * loaded.config.trace.idle_interval_ms / 1000)


def _tell(loaded: Loaded, request: ExecRequest, through: Through, start_us: int) -> None:
    """Show the receipt. What cannot be shown is said, and is no failure of the command."""
    if not through.in_our_ledger:
        note(f"metis: no receipt here: the ledger is with the gateway at {through.url}")
        return
    try:
        found = _receipt(loaded, request, through, start_us)
        if request.receipt_file is not None:
            Path(request.receipt_file).write_text(to_json(found) + "\n")
        note("\n" + (to_json(found) if request.as_json else render_text(harmless(found)).rstrip()))
    except (MetisError, OSError) as exc:
        note(f"metis: no receipt: {exc}")


def _receipt(loaded: Loaded, request: ExecRequest, through: Through, start_us: int) -> Receipt:
    prefix = parse(through.key) or ""
    where = LedgerFilter(key_id=key_id_of(prefix), window=Window(start_us=start_us))
    with open_ledger(loaded.config) as ledger:
        return receipt(
            ledger,
            where,
            baseline=open_baseline(loaded.config),
            title=" ".join(request.command)[:80],
        )
