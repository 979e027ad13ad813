"""What a scenario is, and which cases it makes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, get_args

from metis.conformance.dialects.dialect import Name
from metis.conformance.judging import NotApplicable
from metis.conformance.stage import Stage

Outcome = Literal["pass", "fail", "not applicable", "error"]
Behind = Literal["same", "crossed", "any"]
Play = Callable[[Stage], Awaitable[None]]
SHAPES: Final[tuple[Name, ...]] = get_args(Name)


@dataclass(frozen=True)
class Scenario:
    """One defect as a test.

    `issues` is where it was reported; empty: it follows from the API's own documents. `behind` and `upstreams` say
    which upstreams it is played on. `waits`: it does nothing but wait for long, so it can run beside others.
    """

    id: str
    title: str
    group: str
    play: Play
    issues: tuple[str, ...] = ()
    shapes: tuple[Name, ...] = SHAPES
    behind: Behind = "same"
    upstreams: tuple[Name, ...] = SHAPES
    waits: bool = False

    def cases(self, shape: Name) -> Iterator[Case]:
        """One case for each upstream it is played on from this shape, the same one first."""
        if shape not in self.shapes:
            return
        for upstream in sorted(self.upstreams, key=lambda name: name != shape):
            same = upstream == shape
            if self.behind == "any" or (self.behind == "same") is same:
                yield Case(self, shape, upstream)


@dataclass(frozen=True)
class Case:
    """A scenario played from one client's shape to one upstream."""

    scenario: Scenario
    shape: Name
    upstream: Name

    @property
    def id(self) -> str:
        same = self.shape == self.upstream
        return self.scenario.id if same else f"{self.scenario.id}@{self.upstream}"


@dataclass(frozen=True)
class Verdict:
    """What came of a case. `why`: the reason, or what was expected and seen; empty for a pass."""

    case: Case
    outcome: Outcome
    why: str = ""
    duration_s: float = 0.0


def beyond_the_wire(reason: str) -> Play:
    """For a defect that one running target's wire cannot show."""

    async def play(_stage: Stage) -> None:
        raise NotApplicable(reason)

    return play
