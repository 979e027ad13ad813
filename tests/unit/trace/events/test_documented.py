"""docs/events.md tells of every event and every field, and of none that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from metis.facts.decision import Candidate, RouteDecision, Verdict
from metis.facts.usage import Usage
from metis.trace.events import EVENTS
from metis.trace.events.event import Event
from metis.trace.events.turn import FidelityNote, TurnFeatures

TEXT = (Path(__file__).parents[4] / "docs" / "events.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
COMMON = set(Event.__struct_fields__)
# Values inside a field are documented in the section of the event that carries them.
NESTED: dict[str, tuple[type[msgspec.Struct], ...]] = {
    "route.decided": (RouteDecision, Verdict, Candidate),
    "llm.call_completed": (Usage,),
    "turn.completed": (TurnFeatures, FidelityNote),
}


def words(section: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", SECTIONS[section]))


def test_there_is_a_section_for_each_event_and_no_other() -> None:
    names = {f"`{event.__struct_config__.tag}`" for event in EVENTS}
    assert set(SECTIONS) == names | {"Common fields"}


def test_the_common_fields_are_documented() -> None:
    assert words("Common fields") - {"unknown"} == COMMON


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__struct_config__.tag)
def test_every_field_of_an_event_is_documented(event: type[Event]) -> None:
    name = str(event.__struct_config__.tag)
    nested = {field for kind in NESTED.get(name, ()) for field in kind.__struct_fields__}
    wanted = (set(event.__struct_fields__) - COMMON) | nested
    assert wanted - words(f"`{name}`") == set()


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__struct_config__.tag)
def test_compliance_events_are_marked_as_such(event: type[Event]) -> None:
    section = SECTIONS[f"`{event.__struct_config__.tag}`"]
    assert ("*Compliance.*" in section) == event.is_compliance


def test_the_compliance_subset_is_what_the_audit_export_promises() -> None:
    assert {event.__struct_config__.tag for event in EVENTS if event.is_compliance} == {
        "gateway.key_created",
        "gateway.key_rotated",
        "gateway.key_revoked",
        "gateway.auth_failed",
        "gateway.limit_exceeded",
        "config.changed",
        "admin.acted",
        "route.decided",
        "llm.call_completed",
    }
