"""From a configuration to the values turns run on: providers with their credentials, routing, the model list."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from metis.accounts.reservations import Reservations
from metis.bootstrap.services import SystemClock
from metis.catalog.models import AUTO_NAMES, display_name, known_models
from metis.catalog.pricing import Prices
from metis.clients import session_reader
from metis.config import Config
from metis.embedded.weights import model_name
from metis.errors import ConfigError
from metis.facts.ids import IdFactory
from metis.gateway.model_list import ListedModel, ModelList, build_model_list
from metis.providers import PROVIDERS, kind_named
from metis.providers.local import running
from metis.providers.provider import Provider, Signer, build_provider
from metis.providers.settings import ProviderSettings
from metis.routing.chain import Router
from metis.routing.slot import Policy
from metis.routing.targets import Directory, Target
from metis.turn.engine import Engine
from metis.turn.sessions import SessionBook
from metis.wire import SHAPES, UPSTREAM_SHAPES


def build_providers(config: Config, secrets: Mapping[str, str]) -> dict[str, Provider]:
    """All configured providers, credentials read from the environment and files they name.

    Raises ConfigError on unknown kinds, unusable URLs and credentials that cannot be read.
    """
    built = {
        name: _provider(name, settings, secrets) for name, settings in config.providers.items()
    }
    own_model = model_name(config.embedded.weights)
    return {
        name: running(provider, own_model) if provider.kind.embedded else provider
        for name, provider in built.items()
    }


def _provider(name: str, settings: ProviderSettings, environment: Mapping[str, str]) -> Provider:
    kind = kind_named(settings.kind or name)
    if kind is None:
        raise ConfigError(
            f"unknown provider kind {settings.kind or name!r}; set kind to one of "
            f"{', '.join(kind.name for kind in PROVIDERS)}",
            field=f"providers.{name}.kind",
        )
    secret = _secret(name, settings, environment, kind.key_env)
    signer = None
    if kind.auth == "aws" and not secret:
        signer = _aws_signer(name, settings, environment)
    return build_provider(name, kind, settings, secret, signer)


def _aws_signer(
    name: str, settings: ProviderSettings, environment: Mapping[str, str]
) -> Signer | None:
    try:
        from metis.upstream.aws_signing import aws_signer
    except ImportError as exc:
        raise ConfigError(
            "signing requests to AWS needs botocore; install metis[bedrock], or set "
            "AWS_BEARER_TOKEN_BEDROCK",
            field=f"providers.{name}",
        ) from exc
    if not settings.region:
        raise ConfigError(
            "requests to AWS are signed for a region", field=f"providers.{name}.region"
        )
    return aws_signer(name, settings.region, settings.profile, environment)


def _secret(
    name: str, settings: ProviderSettings, environment: Mapping[str, str], usual: str
) -> str | None:
    if settings.api_key_file is not None:
        try:
            return Path(settings.api_key_file).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
            raise ConfigError(
                f"cannot read {settings.api_key_file}: {reason}",
                field=f"providers.{name}.api_key_file",
            ) from exc
    variable = settings.api_key_env or usual
    return environment.get(variable) if variable else None


def build_policy(config: Config, providers: Mapping[str, Provider], generation: int) -> Policy:
    """The routing policy; with nothing but the embedded model, that model serves every request."""
    targets = tuple(
        Target(
            name=provider.name,
            claims=provider.claims,
            shapes=provider.shapes,
            any_model=provider.any_model,
            free=provider.kind.free,
            default_model=provider.kind.default_model,
        )
        for provider in providers.values()
    )
    directory = Directory(targets=targets, aliases=dict(config.catalog.aliases))
    routing = config.routing
    only_embedded = bool(targets) and all(target.free for target in targets)
    if routing.default is None and only_embedded:
        return Policy(
            directory=directory,
            default=f"{targets[0].name}/{targets[0].default_model}",
            force=True,
            default_why="the only configured model",
            projects=routing.projects,
            generation=generation,
        )
    return Policy(
        directory=directory,
        default=routing.default or "",
        force=routing.force,
        projects=routing.projects,
        generation=generation,
    )


def build_models(config: Config, providers: Mapping[str, Provider]) -> ModelList:
    """What `GET /v1/models` lists: what the configured providers are known to serve, aliases, `auto`."""
    listed: dict[str, ListedModel] = {}
    policy = build_policy(config, providers, 0)
    for provider in providers.values():
        for model in (provider.kind.default_model, *known_models(provider.price_provider)):
            found = policy.directory.resolve(model, provider.shapes[0]) if model else None
            if found is not None and found.provider == provider.name:
                listed.setdefault(model, ListedModel(model, display_name(model), provider.name))
    for alias in config.catalog.aliases:
        listed.setdefault(alias, ListedModel(alias, alias, "metis"))
    for name in sorted(AUTO_NAMES):
        listed.setdefault(name, ListedModel(name, "Metis chooses", "metis"))
    return build_model_list(tuple(listed.values()))


def _open_limit(config: Config) -> int | None:
    """One worker's share of what may be open, in nano-dollars: they cannot ask one another for each call."""
    most = config.accounts.most_open_usd
    return None if most is None else int(most * 1_000_000_000) // config.gateway.workers


def build_engine(
    config: Config, providers: dict[str, Provider], prices: Prices, generation: int
) -> Engine:
    """One worker's engine. Session memory begins empty: it is the worker's own."""
    ids = IdFactory()
    return Engine(
        shapes={shape.name: shape for shape in SHAPES},
        upstream_shapes={shape.name: shape for shape in UPSTREAM_SHAPES},
        providers=providers,
        router=Router(build_policy(config, providers, generation)),
        pricing=prices,
        admission=Reservations(_open_limit(config)),
        identify=session_reader,
        sessions=SessionBook(os.urandom(32), ids),
        ids=ids,
        clock=SystemClock(),
        settings=config.turn,
        generation=generation,
        embedded=all(provider.kind.free for provider in providers.values()),
    )
