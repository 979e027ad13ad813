"""A pinned key, an x-metis-model and a forced default are demands: served as they stand, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from metis.errors import Forbidden, NotFound
from metis.routing.chain import decide
from metis.routing.settings import ProjectRouting
from metis.routing.slot import Policy, Question
from metis.routing.targets import Directory, Target

ANTHROPIC = Target(name="anthropic", claims=("claude-*",), shapes=("anthropic_messages",))
OPENAI = Target(name="openai", claims=("gpt-*",), shapes=("openai_chat",))
DIRECTORY = Directory(targets=(ANTHROPIC, OPENAI))
PLAIN = Policy(directory=DIRECTORY, projects={})


def asked(**differs: Any) -> Question:
    usual: dict[str, Any] = {
        "requested_model": "claude-opus-4-5",
        "wants_auto": False,
        "override_model": "",
        "pinned_model": "",
        "project_id": "web",
        "shape": "anthropic_messages",
        "allowed_models": (),
    }
    return Question(**{**usual, **differs})


def forced(model: str) -> Policy:
    return Policy(directory=DIRECTORY, default=model, force=True, projects={})


def forced_by_project(model: str) -> Policy:
    return Policy(directory=DIRECTORY, projects={"web": ProjectRouting(default=model, force=True)})


UNSERVED = [
    (asked(pinned_model="nope-9"), PLAIN, "the key is pinned to it", "--model"),
    (asked(override_model="nope-9"), PLAIN, "header x-metis-model", "x-metis-model"),
    (asked(), forced("nope-9"), "default is forced", "[routing]"),
    (asked(), forced_by_project("nope-9"), "default is forced", "[routing.projects.web]"),
]


@pytest.mark.parametrize(("question", "policy", "why", "remedy"), UNSERVED)
def test_a_demand_that_nobody_serves_is_an_unknown_model(
    question: Question, policy: Policy, why: str, remedy: str
) -> None:
    with pytest.raises(NotFound) as refused:
        decide(question, policy)
    assert refused.value.code == "model_not_found"
    told = str(refused.value)
    assert [part in told for part in ("'nope-9'", why, remedy)] == [True, True, True]


@pytest.mark.parametrize(
    "barred", [{"only_provider": "anthropic"}, {"allowed_models": ("claude-*",)}]
)
@pytest.mark.parametrize(
    ("demand", "policy"),
    [
        ({"pinned_model": "gpt-4o"}, PLAIN),
        ({"override_model": "gpt-4o"}, PLAIN),
        ({}, forced("gpt-4o")),
        ({}, forced_by_project("gpt-4o")),
    ],
)
def test_a_demand_that_may_not_be_served_is_forbidden(
    demand: dict[str, Any], policy: Policy, barred: dict[str, Any]
) -> None:
    with pytest.raises(Forbidden, match="'gpt-4o' cannot be used"):
        decide(asked(**demand, **barred), policy)


def test_a_default_that_is_not_forced_leaves_the_choice_to_the_client() -> None:
    policy = Policy(directory=DIRECTORY, default="nope-9", projects={})
    assert decide(asked(), policy).model == "claude-opus-4-5"
