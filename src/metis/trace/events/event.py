"""What events are made of, and how one is written and read. The families stand in files beside this one.

Two forms: events of turns and calls are many and alike, so they are arrays on disk and share their groups of fields
(`groups`); all others are rare and stand as objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import msgspec
from msgspec.json import decode

from metis.trace.events.groups import WHOSE, Group, Packed

SCHEMA: Final = 1
TURN_PREFIX: Final = "turn_"


class Event(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="event",
    tag="event",
    gc=False,
):
    """The ids and the time of one fact. `ts` is epoch microseconds, UTC.

    Empty strings mean "does not apply" and are left out on disk.
    """

    schema: int = SCHEMA
    event_id: str
    ts: int
    org_id: str = ""
    team_id: str = ""
    user_id: str = ""
    project_id: str = ""
    key_id: str = ""
    client: str = ""
    session_id: str = ""
    agent_id: str = ""
    parent_agent_id: str = ""
    turn_id: str = ""
    previous_turn_id: str = ""
    call_id: str = ""
    attempt: int = 0
    arm: str = ""

    is_compliance: ClassVar[bool] = False


class TurnEvent(msgspec.Struct, frozen=True, array_like=True, tag="turn_event", gc=False):
    """A fact about one turn. `ts` is epoch microseconds, UTC; `whose` is a packed Whose.

    Its `event_id` follows from the turn's id and the event's `mark`, so it is not written down. `groups` says
    which fields are groups.
    Never move or remove a field: its place is its name on disk. New ones go to the end, with a default.
    """

    turn_id: str
    ts: int
    whose: Packed

    is_compliance: ClassVar[bool] = False
    groups: ClassVar[Mapping[str, Group[..., Any]]] = {"whose": WHOSE}

    mark: ClassVar[str] = ""

    @property
    def event_id(self) -> str:
        return f"evt_{self.turn_id.removeprefix(TURN_PREFIX)}_{self.mark}"


AnyForm = Event | TurnEvent


def name_of(event: AnyForm) -> str:
    """The event's `family.happened` name."""
    return str(event.__struct_config__.tag)


def as_dict(event: AnyForm) -> dict[str, Any]:
    """The event as plain values by their names, groups taken apart, with its name under "event"."""
    if isinstance(event, Event):
        return msgspec.to_builtins(event)
    said: dict[str, Any] = {"event": name_of(event), "event_id": event.event_id}
    for name in event.__struct_fields__:
        value = getattr(event, name)
        group = event.groups.get(name)
        if group is not None:
            said |= msgspec.to_builtins(msgspec.structs.asdict(group.unpack(value)))
        else:
            said[name] = decode(value) if isinstance(value, Packed) else msgspec.to_builtins(value)
    return said
