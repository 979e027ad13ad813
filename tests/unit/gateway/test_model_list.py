"""What `GET /v1/models/{id}` says of models that stand in no list."""

from __future__ import annotations

import json

from metis.facts.identity import Principal
from metis.gateway.model_list import unlisted_model
from metis.routing.chain import Router
from metis.routing.slot import Policy
from metis.routing.targets import Directory, Target

OPENAI = Target(name="openai", claims=("gpt-*",), shapes=("openai_chat",), default_model="gpt-5.2")
ANYBODY = Principal(key_id="key_1")


def router(*, default: str = "", force: bool = False) -> Router:
    directory = Directory(targets=(OPENAI,))
    return Router(Policy(directory=directory, default=default, force=force, projects={}))


def test_a_model_that_would_be_served_is_told_of_in_both_shapes() -> None:
    forced = router(default="openai/gpt-5.2", force=True)
    anthropic = unlisted_model("claude-sonnet-4-5", "anthropic_messages", forced, ANYBODY)
    openai = unlisted_model("mine%2Fbig", "openai_chat", forced, ANYBODY)
    assert json.loads(anthropic or b"") == {
        "type": "model",
        "id": "claude-sonnet-4-5",
        "display_name": "claude-sonnet-4-5",
        "created_at": "2025-01-01T00:00:00Z",
    }
    assert json.loads(openai or b"") == {
        "id": "mine/big",
        "object": "model",
        "created": 1735689600,
        "owned_by": "openai",
    }


def test_a_model_that_nobody_would_serve_is_not_told_of() -> None:
    assert unlisted_model("banana", "openai_chat", router(), ANYBODY) is None


def test_a_model_that_this_key_may_not_use_is_not_told_of() -> None:
    bound = Principal(key_id="key_2", allowed_models=("gpt-4*",))
    assert unlisted_model("gpt-5.2-mini", "openai_chat", router(), bound) is None
