"""`metis doctor`: what is wrong with this installation and how to mend it. Checks look; they change nothing."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from metis import __version__
from metis.bootstrap.engine import build_providers
from metis.bootstrap.offline import (
    gateway_pid,
    has_data,
    locate_model,
    missing_model_parts,
    open_accounts,
    spool_damage,
    spool_state,
)
from metis.bootstrap.parts import build_parts
from metis.cli.output import colour, harmless, local_time, print_json
from metis.config import Config, Loaded, located
from metis.errors import ConfigError, MetisError
from metis.providers.provider import Provider

Status = Literal["ok", "warning", "error"]

_LEAST_PYTHON: Final = (3, 11)
_LEAST_FREE_BYTES: Final = 1024 * 1024 * 1024
_ONLINE_TIMEOUT_S: Final = 10.0
_DAMAGE_TOLD_S: Final = 30 * 86_400
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_MARKS: Final = {"ok": ("ok", "32"), "warning": ("warning", "33"), "error": ("error", "31")}


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at. `remedy` is "" where nothing has to be done."""

    check: str
    status: Status
    message: str
    remedy: str = ""


def run_doctor(loaded: Loaded, *, online: bool, as_json: bool) -> int:
    """Look at everything; 1 when something is broken. `online` also asks the providers."""
    findings = list(examine(loaded, online=online))
    if as_json:
        print_json({"version": __version__, "findings": findings})
    else:
        for finding in map(harmless, findings):
            mark, code = _MARKS[finding.status]
            print(f"{colour(mark.ljust(7), code)}  {finding.check:<12} {finding.message}")
            if finding.remedy:
                print(f"{'':<22} → {finding.remedy}")
        broken = sum(finding.status == "error" for finding in findings)
        doubtful = sum(finding.status == "warning" for finding in findings)
        print(f"\n{len(findings)} checks: {broken} failed, {doubtful} doubtful")
    return 1 if any(finding.status == "error" for finding in findings) else 0


def examine(loaded: Loaded, *, online: bool) -> Iterator[Finding]:
    """All findings, in the order a person would look."""
    config = loaded.config
    yield _python()
    yield _configuration(loaded)
    yield from _data_directory(config)
    checks: list[Callable[[Config], Iterator[Finding]]] = [_gateway, _ledger, _keys]
    for check in checks:
        try:
            yield from check(config)
        except MetisError as exc:
            yield Finding(check.__name__.removeprefix("_"), "error", str(exc))
    yield from _providers(config, online=online)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= _LEAST_PYTHON:
        return Finding("python", "ok", f"{version} at {sys.executable}")
    return Finding("python", "error", f"{version} is too old", "install Python 3.11 or newer")


def _configuration(loaded: Loaded) -> Finding:
    try:
        build_parts(loaded.config, os.environ)
    except ConfigError as exc:
        return Finding("config", "error", str(located(loaded, exc)), "see docs/configuration.md")
    except MetisError:
        pass  # a part of the embedded model is missing: told where providers are looked at
    if loaded.path is None:
        return Finding("config", "ok", "no metis.toml: defaults and environment hold")
    if loaded.path.stat().st_mode & stat.S_IWOTH:
        return Finding(
            "config",
            "warning",
            f"{loaded.path} can be changed by everybody on this machine",
            f"chmod o-w {loaded.path}",
        )
    return Finding("config", "ok", str(loaded.path))


def _data_directory(config: Config) -> Iterator[Finding]:
    root = Path(config.data_dir)
    if not root.exists():
        parent = next(p for p in root.parents if p.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            yield Finding("data", "ok", f"{root} will be made at the first start")
        else:
            yield Finding(
                "data",
                "error",
                f"{root} cannot be made: {parent} is not writable",
                "pass --data DIR",
            )
        return
    if not os.access(root, os.W_OK | os.X_OK):
        yield Finding(
            "data", "error", f"{root} is not writable", "mend its owner, or pass --data DIR"
        )
        return
    yield Finding("data", "ok", str(root))
    free = shutil.disk_usage(root).free
    if free < _LEAST_FREE_BYTES:
        yield Finding(
            "disk",
            "warning",
            f"{free / 2**20:,.0f} MB are free where the ledger lies",
            "make room: when nothing can be written, requests are refused",
        )
    loose = [p for p in _private_paths(root) if p.stat().st_mode & _OTHERS]
    for path in loose:
        yield Finding(
            "permissions",
            "error",
            f"{path} can be read by others (mode {stat.S_IMODE(path.stat().st_mode):o})",
            f"chmod go= {path}",
        )
    if not loose:
        yield Finding("permissions", "ok", "keys, ledger and spool are readable by you alone")


def _private_paths(root: Path) -> Iterator[Path]:
    for pattern in ("metis.db*", "admin-token", "run", "spool", "connect", "connect/*/*"):
        yield from root.glob(pattern)


def _gateway(config: Config) -> Iterator[Finding]:
    pid = gateway_pid(config) if Path(config.data_dir).exists() else None
    if pid is not None:
        yield Finding("gateway", "ok", f"running (pid {pid})")
        return
    settings = config.gateway
    yield Finding("gateway", "ok", "not running; 'metis up' starts it")
    for name, host, port in (
        ("port", settings.host, settings.port),
        ("admin-port", settings.admin_host, settings.admin_port),
    ):
        yield _port(name, host, port)


def _port(option: str, host: str, port: int) -> Finding:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
    except OSError as exc:
        remedy = f"stop what uses it, or choose another with --{option}"
        return Finding(option, "error", f"{host}:{port} cannot be had: {exc.strerror}", remedy)
    return Finding(option, "ok", f"{host}:{port} is free")


def _ledger(config: Config) -> Iterator[Finding]:
    if not has_data(config):
        return
    spool = spool_state(config)
    share = spool.size_bytes / config.trace.spool_bytes
    size = f"spool {spool.size_bytes / 2**20:,.1f} MB, {spool.unrecorded_bytes:,} bytes unrecorded"
    if share > 0.8:
        yield Finding(
            "ledger",
            "error",
            f"{size}: {share:.0%} of its bound; when it is full, requests are refused",
            "start the gateway so that it is recorded, or raise [trace] spool_bytes",
        )
    elif spool.unrecorded_bytes > config.trace.lag_alarm_bytes:
        yield Finding(
            "ledger", "warning", f"{size}: the recorder lags", "look at the gateway's log"
        )
    elif spool.unrecorded_bytes and gateway_pid(config) is None:
        yield Finding(
            "ledger", "warning", f"{size}: a gateway was killed", "the next 'metis up' records it"
        )
    else:
        yield Finding("ledger", "ok", size)
    damage = spool_damage(config)
    if damage.places and time.time() - damage.last_ts / 1e6 < _DAMAGE_TOLD_S:
        yield Finding(
            "damage",
            "warning",
            f"at least {damage.places:,} places in spools could not be read, the last on {local_time(damage.last_ts)}: "
            "what was written there is missing from the ledger",
            "check disk and file system; 'recorder.damage' in the gateway's log says more",
        )


def _keys(config: Config) -> Iterator[Finding]:
    if not has_data(config):
        return
    with open_accounts(config) as accounts:
        active = [key for key in accounts.list_keys() if not key.ephemeral]
    if active:
        noun = "key" if len(active) == 1 else "keys"
        yield Finding("keys", "ok", f"{len(active)} active Metis {noun}")
    else:
        yield Finding("keys", "ok", "no Metis key yet; the first 'metis up' makes one and shows it")


def _providers(config: Config, *, online: bool) -> Iterator[Finding]:
    if not config.providers:
        yield Finding(
            "providers",
            "error",
            "no provider is configured and the embedded model is off",
            'set ANTHROPIC_API_KEY, OPENAI_API_KEY or OPENROUTER_API_KEY, or [embedded] use = "auto"',
        )
        return
    try:
        providers = build_providers(config, os.environ)
    except MetisError as exc:
        yield Finding("providers", "error", str(exc))
        return
    for provider in providers.values():
        if provider.kind.name == "local":
            yield _embedded(config)
            continue
        yield _provider(config, provider)
        if online and provider.credential is not None:
            yield _reachable(provider)


def _provider(config: Config, provider: Provider) -> Finding:
    at = f"{provider.origin.scheme}://{provider.origin.authority}{provider.prefix}"
    settings = config.providers[provider.name]
    signed = provider.signer is not None
    if provider.kind.auth == "none" or signed or provider.credential is not None:
        doubt = _doubtful_base_url(provider)
        if doubt:
            return Finding(provider.name, "warning", f"{at}: {doubt[0]}", doubt[1])
        return Finding(provider.name, "ok", at)
    variable = settings.api_key_env or provider.kind.key_env
    if settings.api_key_file:
        return Finding(
            provider.name, "error", f"{settings.api_key_file} is empty", "put the key into it"
        )
    if not variable:
        return Finding(provider.name, "ok", f"{at}, without a key")
    return Finding(
        provider.name,
        "error",
        f"no key: ${variable} is not set",
        f"export {variable}=..., or name another variable with [providers.{provider.name}] api_key_env",
    )


def _doubtful_base_url(provider: Provider) -> tuple[str, str] | None:
    """A base URL that works only by chance, with its remedy."""
    for ending in ("/messages", "/chat/completions", "/responses", "/models"):
        if provider.prefix.endswith(ending):
            return (
                f"base_url ends in {ending}, which is added by itself",
                f"remove {ending} from [providers.{provider.name}] base_url",
            )
    return None


def _embedded(config: Config) -> Finding:
    missing = missing_model_parts()
    if missing:
        return Finding(
            "local",
            "error",
            f"the embedded model lacks {', '.join(missing)}",
            "run 'metis local install'",
        )
    try:
        weights = locate_model(config)
    except MetisError as exc:
        return Finding("local", "error", str(exc))
    return Finding("local", "ok", f"embedded model {weights.name}")


def _reachable(provider: Provider) -> Finding:
    """Ask for the model list: the cheapest request that needs the key."""
    origin = provider.origin
    root = f"{origin.scheme}://{origin.authority}{provider.prefix}"
    url = f"{root}/v1/models" if provider.kind.root_has_v1 else f"{root}/models"
    request = urllib.request.Request(url, method="GET")
    for name, value in (*provider.headers, provider.credential or (b"", b"")):
        if name:
            request.add_header(name.decode("latin-1"), value.decode("latin-1"))
    if provider.kind.name == "anthropic":
        request.add_header("anthropic-version", "2023-06-01")
    try:
        with urllib.request.urlopen(request, timeout=_ONLINE_TIMEOUT_S) as answer:
            return Finding(provider.name, "ok", f"answers ({answer.status})")
    except urllib.error.HTTPError as exc:
        with exc:
            if exc.code in (401, 403):
                remedy = "the key is refused: check it with the provider"
                return Finding(provider.name, "error", f"{url} answers {exc.code}", remedy)
            return Finding(provider.name, "warning", f"{url} answers {exc.code}", "check base_url")
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "reason", exc)
        return Finding(
            provider.name,
            "error",
            f"{url} cannot be reached: {reason}",
            "check base_url, network and proxy",
        )
