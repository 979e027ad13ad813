"""The scripted providers of a configuration, with their scripts read."""

from __future__ import annotations

from pathlib import Path

from metis.config import Config
from metis.providers import kind_named
from metis.providers.scripted import SCRIPTED
from metis.providers.scripted.script import ECHO_ONLY
from metis.upstream.scripted import ScriptedUpstream, read_script


def build_scripted(config: Config) -> dict[str, ScriptedUpstream]:
    """By provider name; each worker has its own, and its own place in each script. Raises ConfigError."""
    found: dict[str, ScriptedUpstream] = {}
    for name, settings in config.providers.items():
        if kind_named(settings.kind or name) is SCRIPTED:
            script = (
                ECHO_ONLY
                if settings.script is None
                else read_script(Path(settings.script), f"providers.{name}.script")
            )
            found[name] = ScriptedUpstream(script)
    return found
