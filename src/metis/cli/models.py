"""`metis models`: what may be asked for, who serves it, and which is the default."""

from __future__ import annotations

import os

from metis.bootstrap.engine import build_models, build_policy, build_providers
from metis.catalog.models import known_model
from metis.cli.output import note, print_json, print_table
from metis.config import Config


def list_models(config: Config, *, as_json: bool) -> int:
    """Show them. Raises ConfigError on a provider that cannot be used."""
    providers = build_providers(config, os.environ)
    policy = build_policy(config, providers, 0)
    aliases = config.catalog.aliases
    rows = [
        {
            "model": listed.model_id,
            "name": listed.display_name,
            "provider": listed.provider,
            "alias_of": aliases.get(listed.model_id),
            "context_window": _context_window(aliases.get(listed.model_id, listed.model_id)),
        }
        for listed in build_models(config, providers).models
    ]
    if as_json:
        print_json({"default": policy.default, "force": policy.force, "models": rows})
        return 0
    print_table(
        ("MODEL", "NAME", "PROVIDER", "CONTEXT"),
        [
            (
                str(row["model"]),
                f"alias of {row['alias_of']}" if row["alias_of"] else str(row["name"]),
                str(row["provider"]),
                f"{row['context_window']:,}" if row["context_window"] else "",
            )
            for row in rows
        ],
        right=("CONTEXT",),
    )
    if policy.default:
        every = (
            "every request" if policy.force else "requests without a model, or with an unknown one"
        )
        note(f"\n{policy.default} serves {every}")
    elif not rows:
        note("no provider is configured; see 'metis doctor'")
    return 0


def _context_window(model: str) -> int | None:
    found = known_model(model)
    return None if found is None else found.context_window
