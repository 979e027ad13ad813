"""What a forced default overrides, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest

from metis.routing.chain import decide
from metis.routing.settings import ProjectRouting
from metis.routing.slot import Policy, Question
from metis.routing.targets import Directory, Target

ANTHROPIC = Target(name="anthropic", claims=("claude-*",), shapes=("anthropic_messages",))
OPENAI = Target(name="openai", claims=("gpt-*", "text-embedding-*"), shapes=("openai_chat",))
DIRECTORY = Directory(targets=(ANTHROPIC, OPENAI))
CLAUDE = "anthropic/claude-sonnet-4-5"
POLICIES = {
    "installation": Policy(directory=DIRECTORY, default=CLAUDE, force=True, projects={}),
    "project": Policy(
        directory=DIRECTORY, projects={"web": ProjectRouting(default=CLAUDE, force=True)}
    ),
}


def chosen(policy: Policy, **asked: Any) -> tuple[str, str]:
    """Provider and model for a request of the project `web` that differs from the usual in `asked`."""
    usual: dict[str, Any] = {
        "requested_model": "gpt-5.2",
        "wants_auto": False,
        "override_model": "",
        "pinned_model": "",
        "project_id": "web",
        "shape": "openai_chat",
        "allowed_models": (),
    }
    decision = decide(Question(**{**usual, **asked}), policy)
    return decision.provider, decision.model


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_it_answers_what_another_model_was_asked(policy: Policy) -> None:
    assert chosen(policy) == ("anthropic", "claude-sonnet-4-5")
    assert chosen(policy, operation="completions") == ("anthropic", "claude-sonnet-4-5")


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_it_makes_no_embeddings_where_the_model_named_is_served(policy: Policy) -> None:
    named = "text-embedding-3-small"
    found = chosen(policy, requested_model=named, operation="embeddings")
    assert found == ("openai", "text-embedding-3-small")


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_it_stands_for_an_embedding_model_that_nobody_serves(policy: Policy) -> None:
    found = chosen(policy, requested_model="my-embedder", operation="embeddings")
    assert found == ("anthropic", "claude-sonnet-4-5")
