"""The `[providers.NAME]` tables of metis.toml. Values only."""

from __future__ import annotations

import msgspec


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One upstream. A table named after a known kind needs no `kind`.

    `base_url`: where it is; anthropic kinds take the root, openai kinds the root or a path such as
    `/v1` or `/openai/v1`. `api_key_env` / `api_key_file`: where its key is read from; never the key
    itself. `models`: globs of the model names it serves (default: its kind's; a provider with a name
    of its own serves any). `shapes`: API shapes it speaks, dearest first (default: its kind's).
    `region`, `project`: where a cloud's model runs, and on whose bill (bedrock, vertex, vertex-gemini). `profile`: the
    AWS profile whose credentials sign (default: AWS's own order). `headers`: sent with every request.
    `price_provider`: whose price list holds (genai-prices id).
    """

    kind: str | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    api_key_file: str | None = None
    models: tuple[str, ...] | None = None
    shapes: tuple[str, ...] | None = None
    region: str | None = None
    project: str | None = None
    profile: str | None = None
    headers: dict[str, str] = {}
    price_provider: str | None = None
    allow_http: bool = False
    script: str | None = None
