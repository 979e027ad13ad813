"""What every event carries. The families stand in files beside this one; storage does not live here."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

SCHEMA = 1


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


def name_of(event: Event) -> str:
    """The event's `family.happened` name."""
    return str(event.__struct_config__.tag)


def as_dict(event: Event) -> dict[str, Any]:
    """The event as plain values, with its name under "event"."""
    return msgspec.to_builtins(event)
