"""What a forced default overrides, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace

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
ASKED = Question(
    requested_model="gpt-5.2",
    wants_auto=False,
    override_model="",
    pinned_model="",
    project_id="web",
    shape="openai_chat",
    allowed_models=(),
)


def chosen(question: Question, policy: Policy) -> tuple[str, str]:
    decision = decide(question, policy)
    return decision.provider, decision.model


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_it_answers_what_another_model_was_asked(policy: Policy) -> None:
    assert chosen(ASKED, policy) == ("anthropic", "claude-sonnet-4-5")
    completion = replace(ASKED, operation="completions")
    assert chosen(completion, policy) == ("anthropic", "claude-sonnet-4-5")


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_it_makes_no_embeddings_where_the_model_named_is_served(policy: Policy) -> None:
    asked = replace(ASKED, requested_model="text-embedding-3-small", operation="embeddings")
    assert chosen(asked, policy) == ("openai", "text-embedding-3-small")


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_it_stands_for_an_embedding_model_that_nobody_serves(policy: Policy) -> None:
    asked = replace(ASKED, requested_model="my-embedder", operation="embeddings")
    assert chosen(asked, policy) == ("anthropic", "claude-sonnet-4-5")
