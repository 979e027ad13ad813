from __future__ import annotations

import json

import pytest
from bench.peers import chosen
from bench.scenarios import SCENARIOS, Scenario, body_for


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_body_is_json_of_about_its_size_with_its_model(scenario: Scenario) -> None:
    body = body_for(scenario)
    assert 0.9 < len(body.encode()) / scenario.body_bytes < 1.1
    assert json.loads(body)["model"] == scenario.model


def test_scenarios_are_told_apart_by_their_names() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)


def test_peers_are_chosen_by_name() -> None:
    assert [peer.name for peer in chosen("litellm,rolter")] == ["litellm", "rolter"]
    assert chosen("none") == []
    with pytest.raises(SystemExit, match="unknown peer 'bifrost'; there are rolter"):
        chosen("bifrost")
