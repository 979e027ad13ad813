"""The slots in their order: one file each, listed in SLOTS. To add one, write its file, place it here."""

from __future__ import annotations

from typing import Final

from metis.routing.slot import Slot
from metis.routing.slots.global_ import GLOBAL
from metis.routing.slots.override import OVERRIDE
from metis.routing.slots.pattern import PATTERN
from metis.routing.slots.requested import REQUESTED
from metis.routing.slots.rule import RULE
from metis.routing.slots.sticky import STICKY
from metis.routing.slots.workspace import WORKSPACE

SLOTS: Final[tuple[Slot, ...]] = (OVERRIDE, STICKY, RULE, PATTERN, WORKSPACE, GLOBAL, REQUESTED)
