"""`GET /v1/models[/{id}]` in both shapes, from what is configured: no upstream is asked, so it is instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import msgspec

from metis.catalog.models import AUTO_NAMES
from metis.errors import Forbidden, NotFound
from metis.facts.identity import Principal
from metis.routing.chain import Router
from metis.routing.slot import Question

# When Anthropic's shape wants a date nobody published one for.
_LONG_AGO = "2025-01-01T00:00:00Z"
_LONG_AGO_S = 1_735_689_600


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One entry: the id a client may ask for, what people call it, who serves it."""

    model_id: str
    display_name: str
    provider: str


@dataclass(frozen=True, slots=True)
class ModelList:
    """Both shapes' lists, encoded once per configuration."""

    models: tuple[ListedModel, ...]
    anthropic: bytes
    openai: bytes

    def one(self, model_id: str, shape: str) -> bytes | None:
        """A single model's object; None when no such model is listed."""
        wanted = unquote(model_id)
        for model in self.models:
            if model.model_id == wanted:
                entry = _anthropic(model) if shape == "anthropic_messages" else _openai(model)
                return msgspec.json.encode(entry)
        return None

    def whole(self, shape: str) -> bytes:
        return self.anthropic if shape == "anthropic_messages" else self.openai


def build_model_list(models: tuple[ListedModel, ...]) -> ModelList:
    """Paging is ignored: there is one page, and clients that ask for `limit=1000` get all of it."""
    anthropic = {
        "data": [_anthropic(model) for model in models],
        "has_more": False,
        "first_id": models[0].model_id if models else None,
        "last_id": models[-1].model_id if models else None,
    }
    openai = {"object": "list", "data": [_openai(model) for model in models]}
    return ModelList(models, msgspec.json.encode(anthropic), msgspec.json.encode(openai))


def unlisted_model(model_id: str, shape: str, router: Router, who: Principal) -> bytes | None:
    """The object of a model in no list that a request of this key would be served for all the same.

    Clients ask for the model they are set to before they use it (a `claude-...` name on an installation
    of other providers): a 404 would say that it does not work. None when nobody would serve it.
    """
    wanted = unquote(model_id)
    question = Question(
        requested_model=wanted,
        wants_auto=wanted in AUTO_NAMES,
        override_model="",
        pinned_model=who.pinned_model or "",
        project_id=who.project_id,
        shape=shape,
        allowed_models=who.allowed_models,
    )
    try:
        decision = router.decide(question)
    except (NotFound, Forbidden):
        return None
    model = ListedModel(wanted, wanted, decision.provider)
    return msgspec.json.encode(
        _anthropic(model) if shape == "anthropic_messages" else _openai(model)
    )


def _anthropic(model: ListedModel) -> dict[str, Any]:
    return {
        "type": "model",
        "id": model.model_id,
        "display_name": model.display_name,
        "created_at": _LONG_AGO,
    }


def _openai(model: ListedModel) -> dict[str, Any]:
    return {
        "id": model.model_id,
        "object": "model",
        "created": _LONG_AGO_S,
        "owned_by": model.provider,
    }
