"""What is known of models without asking anybody: limits, capabilities, retirement, names for people.

The data is `data/models.json`, kept by hand from the providers' model pages
(https://platform.claude.com/docs/en/about-claude/models/overview,
https://developers.openai.com/api/docs/models and .../deprecations,
https://ai.google.dev/gemini-api/docs/models); for models it lacks, the price lists know a context window
and a name. A model that nobody here has heard of is still served: nothing below is an allow-list.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import msgspec

from metis.catalog.names import AUTO_NAMES, ModelName, family_of, normalise, suggest
from metis.catalog.price_data import ModelEntry, PriceData, shipped_data

__all__ = [
    "AUTO_NAMES",
    "Capability",
    "KnownModel",
    "ModelName",
    "default_model",
    "display_name",
    "family_of",
    "known_model",
    "known_models",
    "normalise",
    "retires_on",
    "suggest",
]

Capability = Literal[
    "tools", "images", "documents", "audio", "structured_output", "thinking", "embeddings"
]

_MOST_NAMES: Final = 4096
# Lists that resell others' models by the hundred: their own ids are the names, `:batch` cannot be asked for.
# A price of Bedrock's for whatever region; the names there begin with one (`eu.`).
_ANY_REGION: Final = "regional."
_BATCH: Final = ":batch"
_REDIRECT: Final = "~"  # OpenRouter's `~anthropic/claude-sonnet-latest`


class KnownModel(msgspec.Struct, frozen=True, array_like=True):
    """A model as its maker describes it.

    Tokens: `context_window` holds prompt and answer, `max_output_tokens` bounds the answer; None where
    nobody says. `capabilities` is None where nobody says either. `retires`: the day it is shut down, ISO.
    """

    model_id: str
    name: str
    family: str
    context_window: int | None = None
    max_output_tokens: int | None = None
    capabilities: frozenset[Capability] | None = None
    retires: str | None = None
    default: bool = False


class _File(msgspec.Struct, frozen=True):
    as_of: str
    models: list[KnownModel]


@lru_cache(maxsize=1)
def _file() -> _File:
    data = Path(__file__).with_name("data").joinpath("models.json").read_bytes()
    return msgspec.json.decode(data, type=_File)


@lru_cache(maxsize=1)
def _models() -> dict[str, KnownModel]:
    return {model.model_id: model for model in _file().models}


@lru_cache(maxsize=1)
def _price_lists() -> PriceData:
    return PriceData(shipped_data())


@lru_cache(maxsize=_MOST_NAMES)
def known_model(name: str) -> KnownModel | None:
    """What is known of a model, whatever the spelling of its name; None when it is nothing."""
    parts = normalise(name)
    dotted = parts.base.replace(".", "-")  # OpenRouter: claude-sonnet-4.5
    found = _models().get(parts.base) or _models().get(dotted)
    if found is not None:
        return found
    family = family_of(name)
    if family is None:
        return None
    for spelling in parts.spellings:
        entry = _price_lists().find(family, spelling)
        if entry is not None:
            return _from_price_list(entry, family)
    return None


def _from_price_list(entry: ModelEntry, family: str) -> KnownModel:
    return KnownModel(entry.model_id, entry.name or entry.model_id, family, entry.context_window)


@lru_cache(maxsize=64)
def known_models(provider: str) -> tuple[str, ...]:
    """The model names of a provider (a price list's id), the newest first, without those shut down already.

    Those of a reseller are its whole list. Empty for a provider nobody here knows.
    """
    as_of = _file().as_of
    own = [one for one in _models().values() if one.family == provider]
    if own:
        return tuple(one.model_id for one in own if one.retires is None or one.retires > as_of)
    prices = _price_lists().provider(provider)
    if prices is None:
        return ()
    return tuple(
        entry.model_id
        for entry in prices.models
        if not entry.deprecated
        and not entry.model_id.startswith(_REDIRECT)
        and not entry.model_id.startswith(_ANY_REGION)
        and not entry.model_id.endswith(_BATCH)
    )


def default_model(family: str) -> str | None:
    """The model to use of a family when nothing is configured; None where there is no usual one."""
    return next(
        (one.model_id for one in _models().values() if one.family == family and one.default), None
    )


def display_name(name: str) -> str:
    """What people call a model: `Claude Sonnet 4.5 (2025-09-29)`; the name itself when it is unknown."""
    model = known_model(name)
    if model is None:
        return name
    snapshot = normalise(name).snapshot
    return f"{model.name} ({snapshot})" if snapshot else model.name


def retires_on(name: str) -> date | None:
    """The day a model is or was shut down, as far as its maker has announced one."""
    model = known_model(name)
    if model is None or model.retires is None:
        return None
    return date.fromisoformat(model.retires)
