"""Long work in steps: one step a round, others first, and a step that fails takes nobody else's turn."""

from __future__ import annotations

import asyncio

from metis.gateway.taking_turns import TakingTurns


async def test_steps_of_two_long_works_alternate_and_others_come_between() -> None:
    queue, said = TakingTurns(), list[str]()
    loop = asyncio.get_running_loop()

    def work(name: str, steps: int) -> None:
        said.append(f"{name}{steps}")
        if steps > 1:
            queue.put(lambda: work(name, steps - 1))
        loop.call_soon(said.append, ".")  # what else a loop has to do

    queue.put(lambda: work("a", 3))
    queue.put(lambda: work("b", 2))
    await asyncio.sleep(0.05)
    assert "".join(said).replace(".", "") == "a3b2a2b1a1"
    assert ".." not in "".join(said)
    assert "".join(said).count(".") == 5


async def test_a_step_that_fails_leaves_the_others_their_turn() -> None:
    queue, said = TakingTurns(), list[str]()
    failures: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: failures.append(str(context.get("exception")))
    )

    def fail() -> None:
        raise ValueError("broken")

    queue.put(fail)
    queue.put(lambda: said.append("after"))
    await asyncio.sleep(0.02)
    queue.put(lambda: said.append("later"))
    await asyncio.sleep(0.02)
    assert (said, failures) == (["after", "later"], ["broken"])
