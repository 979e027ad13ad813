"""Continue: its CLI `cn` and its editor extensions. Seen: cn 1.5.47. Configuration: https://docs.continue.dev/reference."""

from __future__ import annotations

from typing import Final

from metis.clients import auxiliary
from metis.clients.client import (
    Client,
    Fields,
    FileEdit,
    Gateway,
    Headers,
    Item,
    Json,
    Launch,
    Recipe,
    Setting,
)
from metis.facts.identity import SessionFacts

_MODEL: Final = "claude-sonnet-4-5"
_NAME: Final = "Metis"
_KEY_VARIABLE: Final = "METIS_API_KEY"


def _session(headers: Headers, fields: Fields, path: str) -> SessionFacts:
    # Its user agent is `node-fetch` or a minified SDK's, so there is no version to read.
    return SessionFacts(client="continue", auxiliary=auxiliary.side_call(fields))


def _entry(gateway: Gateway, key: str) -> dict[str, Json]:
    model = gateway.model or _MODEL
    return {
        "provider": "anthropic" if model.startswith("claude") else "openai",
        "model": model,
        "apiBase": gateway.v1,
        "apiKey": key,
        "roles": ["chat", "edit", "apply"],
        "requestOptions": {"headers": {"x-metis-client": "continue"}},
    }


def _connect(gateway: Gateway) -> Recipe:
    directory = gateway.directory("CONTINUE_GLOBAL_DIR", ".continue")
    variable = gateway.key_env or _KEY_VARIABLE
    entry = _entry(gateway, f"${{{{ secrets.{variable} }}}}")
    files = [
        FileEdit(
            path=f"{directory}/config.yaml",
            format="yaml",
            settings=(
                Setting(("name",), "Local config", keep=True),
                Setting(("version",), "1.0.0", keep=True),
                Setting(("schema",), "v1", keep=True),
                *(
                    Setting(("models", Item("name", _NAME), name), value)
                    for name, value in entry.items()
                ),
            ),
        )
    ]
    place = f"Continue reads the key from ${variable}."
    if not gateway.key_env:
        secrets = f"{directory}/.env"
        files.append(
            FileEdit(
                path=secrets,
                format="env",
                settings=(Setting((_KEY_VARIABLE,), gateway.key),),
                secret=True,
            )
        )
        place = f"The key stands in {secrets} (mode 0600), where Continue looks for its secrets."
    return Recipe(
        files=tuple(files),
        key_place=place,
        notes=(
            f"The model '{_NAME}' appears in Continue's model list; pick it there, or start `cn` with only this one.",
        ),
    )


def _launch(gateway: Gateway) -> Launch:
    entry = _entry(gateway, f"${{{{ secrets.{_KEY_VARIABLE} }}}}")
    content = "\n".join(
        (
            "name: Metis",
            "version: 1.0.0",
            "schema: v1",
            "models:",
            f"  - name: {_NAME}",
            f"    provider: {entry['provider']}",
            f"    model: {entry['model']}",
            f"    apiBase: {entry['apiBase']}",
            f"    apiKey: {entry['apiKey']}",
            "    requestOptions:",
            "      headers:",
            "        x-metis-client: continue",
            "",
        )
    )
    return Launch(
        environment=((_KEY_VARIABLE, gateway.key),),
        arguments=("--config", "{private}/config.yaml"),
        files=(("config.yaml", content),),
        conflicts=("--config",),
    )


CONTINUE: Final = Client(
    name="continue",
    title="Continue",
    session=_session,
    commands=("continue", "cn"),
    needs_model=True,
    connect=_connect,
    launch=_launch,
)
