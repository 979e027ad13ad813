"""Plays cases against a target, one after another; those that mostly wait run beside them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from metis.conformance.client import NoAnswer
from metis.conformance.dialects import DIALECTS
from metis.conformance.dialects.dialect import Name
from metis.conformance.judging import Failed, NotApplicable
from metis.conformance.neutral import Answer, Prompt
from metis.conformance.scenario import Case, Outcome, Scenario, Verdict
from metis.conformance.scenarios import SCENARIOS
from metis.conformance.stage import Stage, Target
from metis.conformance.upstream import Upstream, say

_ABSENT: Final = (404, 405, 501)
_DENIED: Final = (401, 403)
_MOST_WAITING: Final = 24
Told = Callable[[Verdict], None]


@dataclass(frozen=True)
class Route:
    """Whether a shape's client reaches an upstream through the target. `target` may have learnt how to show its key."""

    target: Target
    outcome: Outcome = "pass"
    why: str = ""


def chosen(
    shapes: Iterable[Name], only: Sequence[str] = (), scenarios: Sequence[Scenario] = SCENARIOS
) -> list[Case]:
    """The cases of these shapes; `only` names scenarios, cases or groups. Raises ValueError for an unknown name."""
    cases = [case for shape in shapes for one in scenarios for case in one.cases(shape)]
    if not only:
        return cases
    names = {case: (case.id, case.scenario.id, case.scenario.group) for case in cases}
    known = {name for all_names in names.values() for name in all_names}
    unknown = [name for name in only if name not in known]
    if unknown:
        raise ValueError(f"no scenario, case or group {unknown[0]!r}; --list shows them")
    return [case for case in cases if set(only) & set(names[case])]


async def run(
    target: Target, cases: Sequence[Case], *, host: str, port: int, told: Told
) -> list[Verdict]:
    """Play them all; gives the verdicts in the same order, and tells each as it ends.

    Raises OSError when the upstream's port is taken.
    """
    upstream = Upstream(list(target.models.values()))
    await upstream.start(host, port)
    try:
        return await _Run(target, upstream, told).play(cases)
    finally:
        await upstream.stop()


class _Run:
    """One target and what has been found out about it."""

    def __init__(self, target: Target, upstream: Upstream, told: Told) -> None:
        self._target, self._upstream, self._told = target, upstream, told
        self._routes: dict[tuple[Name, Name], Route] = {}
        self._room = asyncio.Semaphore(_MOST_WAITING)

    async def play(self, cases: Sequence[Case]) -> list[Verdict]:
        for case in cases:
            if (case.shape, case.upstream) not in self._routes:
                route = await self._route(case.shape, case.upstream)
                self._routes[case.shape, case.upstream] = route
        waiting = {c: asyncio.create_task(self._beside(c)) for c in cases if c.scenario.waits}
        found = {case: await self._one(case) for case in cases if not case.scenario.waits}
        for case, task in waiting.items():
            found[case] = await task
        return [found[case] for case in cases]

    async def _beside(self, case: Case) -> Verdict:
        async with self._room:
            return await self._one(case)

    async def _one(self, case: Case) -> Verdict:
        began = time.monotonic()
        route = self._routes[(case.shape, case.upstream)]
        outcome, why = route.outcome, route.why
        if outcome == "pass":
            outcome, why = await self._judge(case, route.target)
        verdict = Verdict(case, outcome, why, time.monotonic() - began)
        self._told(verdict)
        return verdict

    async def _judge(self, case: Case, target: Target) -> tuple[Outcome, str]:
        stage = self._stage(target, case.shape, case.upstream)
        try:
            await case.scenario.play(stage)
        except NotApplicable as exc:
            return "not applicable", str(exc)
        except Failed as exc:
            return "fail", str(exc)
        except NoAnswer as exc:
            return "error", f"the target did not answer: {exc}"
        except (ValueError, TypeError, KeyError, AttributeError, IndexError) as exc:
            # A stranger's JSON can have any form; what no reader understands is no good answer.
            return "fail", f"expected an answer of the API's form; seen {type(exc).__name__}: {exc}"
        finally:
            stage.close()
        return "pass", ""

    def _stage(self, target: Target, shape: Name, behind: Name) -> Stage:
        return Stage(target, self._upstream, DIALECTS[shape], DIALECTS[behind])

    async def _route(self, shape: Name, behind: Name) -> Route:
        """Ask a plain question, as each kind of credential in turn, and judge what the pair is good for."""
        route = await self._try(self._target, shape, behind)
        if route.outcome == "error" and shape == "anthropic":
            bearer = await self._try(replace(self._target, bearer=True), shape, behind)
            route = bearer if bearer.outcome == "pass" else route
        return route

    async def _try(self, target: Target, shape: Name, behind: Name) -> Route:
        stage = self._stage(target, shape, behind)
        try:
            reply = await stage.ask(Prompt(), script=say(Answer(text="Hello.")))
        except NotApplicable as exc:
            return Route(target, "not applicable", str(exc))
        except NoAnswer as exc:
            return Route(target, "error", f"the target did not answer: {exc}")
        else:
            if reply.status == 200 or stage.seen:
                return Route(target)
            said = f"{reply.status} {reply.body[:160].decode(errors='replace')}"
        finally:
            stage.close()
        if reply.status in _ABSENT:
            return Route(
                target, "not applicable", f"no such API here: {stage.shape.path} gave {said}"
            )
        if shape != behind and reply.status not in _DENIED:
            return Route(target, "not applicable", f"the target refuses this crossing: {said}")
        return Route(target, "error", f"the target refuses a plain request: {said}")
