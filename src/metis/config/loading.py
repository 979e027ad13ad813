"""Reading a configuration: which file, which data directory, which providers when none is configured.

Where each value came from is kept beside it, for `metis config show`.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import platformdirs
from msgspec.structs import replace

from metis.config.diagnosis import dotted, find_credential_header, find_fault
from metis.config.schema import Config, UpOptions
from metis.config.toml_lines import line_of
from metis.errors import ConfigError, UsageError
from metis.providers.settings import ProviderSettings

FILE_NAME: Final = "metis.toml"
# With no provider configured, these variables bring theirs; the order is that of the banner.
_PROVIDER_KEYS: Final = (
    ("anthropic", "ANTHROPIC_API_KEY"),
    ("openai", "OPENAI_API_KEY"),
    ("openrouter", "OPENROUTER_API_KEY"),
)
_LOCAL: Final = "local"
_MOST_WORKERS: Final = 64  # slots on the board of counters
_MOST_PORT: Final = 65_535
_GATEWAY_OPTIONS: Final = ("host", "port", "admin_host", "admin_port", "workers")
_PROVIDER_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_NO_OPTIONS: Final = UpOptions()


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, the file it came from (None: there is none), and per dotted path what set it.

    `origins` names "metis.toml", an option or a variable; a path that is not in it has its default.
    """

    config: Config
    path: Path | None
    origins: Mapping[str, str] = field(default_factory=dict[str, str])


def config_candidates(environ: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """The files that are looked for when none is named, first found wins."""
    return (Path.cwd() / FILE_NAME, _user_config_file(os.environ if environ is None else environ))


def load_config(
    options: UpOptions = _NO_OPTIONS, environ: Mapping[str, str] | None = None
) -> Loaded:
    """Load the file that `options`, $METIS_CONFIG or the search order names, and join what overrides it.

    Raises ConfigError, naming file, line, field and remedy, and UsageError for an option.
    """
    environ = os.environ if environ is None else environ
    _check_working_directory()
    path = _find(options, environ)
    text = _read(path) if path is not None else ""
    data = _parse(text, path)
    config = _decode(data, text, path)
    origins = dict.fromkeys(_leaves(data), path.name if path else "")
    base = path.parent if path is not None else Path.cwd()
    config = _absolute_paths(config, base)
    config = _with_options(config, options, origins)
    config = _with_data_dir(config, options, environ, origins)
    config = _with_providers(config, environ, origins)
    _check(config, origins, text, path)
    return Loaded(config, path, origins)


def located(loaded: Loaded, error: ConfigError) -> ConfigError:
    """An error found after loading, with the file and line its field stands at."""
    if loaded.path is None or not error.field:
        return error
    steps = tuple(error.field.split("."))
    return _error(f"{error.field}: {error}", steps, _read(loaded.path), loaded.path)


def _check_working_directory() -> None:
    try:
        Path.cwd()
    except OSError as exc:
        raise ConfigError(
            f"the working directory cannot be used: {exc.strerror}; change to another one"
        ) from exc


def _find(options: UpOptions, environ: Mapping[str, str]) -> Path | None:
    named = options.config or environ.get("METIS_CONFIG")
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            source = "--config" if options.config else "$METIS_CONFIG"
            raise ConfigError(f"no configuration file at {named} (from {source})")
        return path.absolute()
    return next((p for p in config_candidates(environ) if p.is_file()), None)


def _user_config_file(environ: Mapping[str, str]) -> Path:
    # platformdirs reads the process's environment; a given one (tests, `exec`) must count as well.
    base = environ.get("XDG_CONFIG_HOME")
    directory = Path(base) / "metis" if base else Path(platformdirs.user_config_dir("metis"))
    return directory / FILE_NAME


def _user_data_dir(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_DATA_HOME")
    return Path(base) / "metis" if base else Path(platformdirs.user_data_dir("metis"))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"cannot read {path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path} is not UTF-8 text: {exc.reason} at byte {exc.start}") from exc


def _parse(text: str, path: Path | None) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        reason, _, place = str(exc).partition(" (at ")
        line = re.match(r"line (\d+)", place)
        where = f"{path}:{line[1]}" if line else str(path)
        raise ConfigError(f"{where}: {reason}") from exc


def _decode(data: dict[str, Any], text: str, path: Path | None) -> Config:
    try:
        return msgspec.convert(data, Config)
    except msgspec.ValidationError as exc:
        fault = find_fault(data, Config)
        if fault is None:
            raise ConfigError(f"{path}: {exc}") from exc
        message = fault.message
        if not message.startswith(("unknown field", repr(fault.path[-1]))) and fault.path:
            message = f"{dotted(fault.path)} {message}"
        raise _error(message, fault.path, text, path) from exc


def _error(message: str, steps: tuple[str, ...], text: str, path: Path | None) -> ConfigError:
    line = line_of(text, steps) if path is not None else None
    where = f"{path}:{line}: " if line else f"{path}: " if path else ""
    return ConfigError(where + message, field=dotted(steps))


def _leaves(data: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in data.items():
        if isinstance(value, dict) and value:
            yield from _leaves(cast("dict[str, Any]", value), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _absolute_paths(config: Config, base: Path) -> Config:
    """Read relative paths as relative to the file they stand in, wherever `metis` was started."""

    def fixed(value: str | None) -> str | None:
        return str(base / Path(value).expanduser()) if value else value

    gateway, upstream, embedded = config.gateway, config.upstream, config.embedded
    return replace(
        config,
        data_dir=fixed(config.data_dir) or "",
        gateway=replace(gateway, tls_cert=fixed(gateway.tls_cert), tls_key=fixed(gateway.tls_key)),
        upstream=replace(upstream, ca_file=fixed(upstream.ca_file)),
        embedded=replace(embedded, weights=fixed(embedded.weights)),
        providers={
            name: replace(p, api_key_file=fixed(p.api_key_file), script=fixed(p.script))
            for name, p in config.providers.items()
        },
    )


def _with_options(config: Config, options: UpOptions, origins: dict[str, str]) -> Config:
    given = {name: getattr(options, name) for name in _GATEWAY_OPTIONS}
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        origins[f"gateway.{name}"] = "--" + name.replace("_", "-")
    return replace(config, gateway=replace(config.gateway, **given)) if given else config


def _with_data_dir(
    config: Config, options: UpOptions, environ: Mapping[str, str], origins: dict[str, str]
) -> Config:
    if options.data:
        found, origins["data_dir"] = Path(options.data), "--data"
    elif environ.get("METIS_DATA"):
        found, origins["data_dir"] = Path(environ["METIS_DATA"]), "$METIS_DATA"
    elif config.data_dir:
        found = Path(config.data_dir)
    else:
        found = _user_data_dir(environ)
    return replace(config, data_dir=str(found.expanduser().absolute()))


def _with_providers(config: Config, environ: Mapping[str, str], origins: dict[str, str]) -> Config:
    providers = dict(config.providers)
    if not providers:
        for name, variable in _PROVIDER_KEYS:
            if environ.get(variable):
                providers[name] = ProviderSettings(api_key_env=variable)
                origins[f"providers.{name}"] = f"${variable}"
    use = config.embedded.use
    if _LOCAL not in providers and (use == "always" or (use == "auto" and not providers)):
        providers[_LOCAL] = ProviderSettings()
        origins[f"providers.{_LOCAL}"] = (
            "embedded.use" if use == "always" else "no provider key found"
        )
    return replace(config, providers=providers)


# To keep no idle connection and not to wait for streams are choices.
_MAY_BE_ZERO: Final = ("drain_timeout_s", "max_idle_per_origin")


def _check(config: Config, origins: Mapping[str, str], text: str, path: Path | None) -> None:
    """Raise ConfigError for what types cannot say."""
    gateway = config.gateway
    bounds = (("port", 0, _MOST_PORT), ("admin_port", 0, _MOST_PORT), ("workers", 1, _MOST_WORKERS))
    for name, least, most in bounds:
        value = getattr(gateway, name)
        if not least <= value <= most:
            option = origins.get(f"gateway.{name}", "")
            message = f"{name} must lie between {least} and {most}, not {value}"
            if option.startswith("--"):
                raise UsageError(f"{option}: {message}")
            raise _error(f"gateway.{message}", ("gateway", name), text, path)
    for table, settings in (
        ("gateway", gateway),
        ("turn", config.turn),
        ("upstream", config.upstream),
    ):
        for name in settings.__struct_fields__:
            value = getattr(settings, name)
            limits = name.startswith("max_") or name.endswith("_s")
            if limits and name not in _MAY_BE_ZERO and not value > 0:
                message = f"{table}.{name} must be more than 0, not {value}"
                raise _error(message, (table, name), text, path)
    if gateway.port and gateway.port == gateway.admin_port and gateway.host == gateway.admin_host:
        raise _error(
            f"gateway.port and gateway.admin_port are both {gateway.port}; they need two ports",
            ("gateway", "admin_port"),
            text,
            path,
        )
    for name, relay in gateway.relay.items():
        if relay.provider not in config.providers:
            known = ", ".join(config.providers) or "none"
            message = f"gateway.relay.{name}: no provider {relay.provider!r} is configured; configured: {known}"
            raise _error(message, ("gateway", "relay", name, "provider"), text, path)
    for alias in config.catalog.aliases:
        loop = _alias_loop(alias, config.catalog.aliases)
        if loop:
            message = f"the alias {alias!r} means itself: {' → '.join(loop)}; let one of them name a model"
            raise _error(message, ("catalog", "aliases", alias), text, path)
    for name, provider in config.providers.items():
        if not _PROVIDER_NAME.fullmatch(name):
            raise _error(
                f"{name!r} cannot name a provider; use letters, digits, '-', '_' and '.'",
                ("providers", name),
                text,
                path,
            )
        header = find_credential_header(provider.headers)
        if header is not None:
            raise _error(
                f"the header {header!r} would put a secret into this file; "
                "use api_key_env or api_key_file",
                ("providers", name, "headers", header),
                text,
                path,
            )


def _alias_loop(alias: str, aliases: Mapping[str, str]) -> list[str]:
    """The way from an alias back to itself over others, [] where there is none."""
    way = [alias]
    while (following := aliases.get(way[-1])) is not None and following != way[-1]:
        way.append(following)
        if following == alias:
            return way
        if following in way[:-1]:
            return []  # the loop is another alias's
    return []
