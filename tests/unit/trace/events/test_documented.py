"""docs/events.md tells of every event and every field, and of none that does not exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from metis.facts.decision import Candidate, RouteDecision, Verdict
from metis.trace.events import EVENTS, AnyForm
from metis.trace.events.event import Event, TurnEvent
from metis.trace.events.groups import WHOSE, Group, Whose
from metis.trace.events.turn import FidelityNote, TurnFeatures

TEXT = (Path(__file__).parents[4] / "docs" / "events.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
COMMON = set(Event.__struct_fields__)
# Values inside a field are documented in the section of the event that carries them.
NESTED: dict[str, tuple[type[msgspec.Struct], ...]] = {
    "route.decided": (RouteDecision, Verdict, Candidate),
    "turn.completed": (TurnFeatures, FidelityNote),
}
TURN_EVENTS = [event for event in EVENTS if issubclass(event, TurnEvent)]
OTHERS = [event for event in EVENTS if issubclass(event, Event)]


def tag(event: type[AnyForm]) -> str:
    return str(event.__struct_config__.tag)


def words(section: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", SECTIONS[section]))


def tables(section: str) -> dict[str, list[str]]:
    """By the first head of each table, the fields its first column names, in order."""
    found: dict[str, list[str]] = {}
    head = ""
    for line in SECTIONS[section].splitlines():
        if not line.startswith("|"):
            head = ""
        elif not head:
            head = line.split("|")[1].strip()
            found[head] = []
        else:
            found[head] += re.findall(r"`([^`]+)`", line.split("|")[1])
    return found


def fields_of(group: Group[..., Any]) -> set[str]:
    kind: Any = group.kind
    return {*kind.__struct_fields__}


def groups_to_tell(event: type[TurnEvent]) -> dict[str, Group[..., Any]]:
    """The groups that no event before it has, and that are not common to all."""
    before = TURN_EVENTS[: TURN_EVENTS.index(event)]
    told = {WHOSE, *(group for earlier in before for group in earlier.groups.values())}
    return {name: group for name, group in event.groups.items() if group not in told}


def test_there_is_a_section_for_each_event_and_no_other() -> None:
    names = {f"`{tag(event)}`" for event in EVENTS}
    assert set(SECTIONS) == names | {"Common fields", "On disk"}


def test_the_common_fields_are_documented() -> None:
    assert words("Common fields") - {"unknown"} == COMMON
    assert set(Whose.__struct_fields__) <= COMMON
    assert set(Whose.__struct_fields__) | {"whose", "kind", "ending"} <= words("On disk")


@pytest.mark.parametrize("event", TURN_EVENTS, ids=tag)
def test_the_first_table_of_an_array_has_its_fields_in_their_places(event: type[TurnEvent]) -> None:
    assert tables(f"`{tag(event)}`")["field"] == list(event.__struct_fields__)


@pytest.mark.parametrize("event", TURN_EVENTS, ids=tag)
def test_the_fields_of_each_group_are_documented_where_it_is_first_met(
    event: type[TurnEvent],
) -> None:
    found = tables(f"`{tag(event)}`")
    del found["field"]
    assert {head: sorted(fields) for head, fields in found.items()} == {
        f"in `{name}`": sorted(fields_of(group)) for name, group in groups_to_tell(event).items()
    }


def test_every_group_is_told_somewhere() -> None:
    told = {WHOSE, *(group for event in TURN_EVENTS for group in groups_to_tell(event).values())}
    assert told == {group for event in TURN_EVENTS for group in event.groups.values()}
    assert len(told) == 4


@pytest.mark.parametrize("event", OTHERS, ids=tag)
def test_the_table_of_an_object_has_its_fields(event: type[Event]) -> None:
    assert tables(f"`{tag(event)}`") == {
        "field": [name for name in event.__struct_fields__ if name not in COMMON]
    }


@pytest.mark.parametrize("name", NESTED)
def test_every_field_of_a_value_inside_an_event_is_documented(name: str) -> None:
    nested = {field for kind in NESTED[name] for field in kind.__struct_fields__}
    assert nested - words(f"`{name}`") == set()


@pytest.mark.parametrize("event", EVENTS, ids=tag)
def test_compliance_events_are_marked_as_such(event: type[AnyForm]) -> None:
    section = SECTIONS[f"`{tag(event)}`"]
    assert ("*Compliance.*" in section) == event.is_compliance


def test_the_compliance_subset_is_what_the_audit_export_promises() -> None:
    assert {tag(event) for event in EVENTS if event.is_compliance} == {
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
