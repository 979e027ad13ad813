"""Which reply a request gets. `Player.play` is the way in: bytes of a request in, timed steps of its answer out."""

from __future__ import annotations

from metis.errors import CodecError
from metis.providers.scripted.bodies import failing, generation, refusing
from metis.providers.scripted.operations import answer_to
from metis.providers.scripted.performance import Performance, perform
from metis.providers.scripted.question import Question, asked, fits, meant
from metis.providers.scripted.script import ECHO_ONLY, Script, ScriptedReply
from metis.wire.openai_chat import OPENAI_CHAT


class Player:
    """One script on its way: it remembers which replies are used up. Belongs to one event loop."""

    __slots__ = ("_next_number", "_script", "_used")

    def __init__(self, script: Script = ECHO_ONLY) -> None:
        self._script = script
        self._used: set[int] = set()
        self._next_number = 1

    def play(self, path: str, body: bytes) -> Performance:
        """The steps of the answer to a request for `path`, such as `/v1/messages`."""
        number = self._next_number
        self._next_number += 1
        operation, shape = meant(path)
        if shape is None:
            missing = ScriptedReply(status=404, text=f"no such path: {path[:200]}")
            return perform(missing, failing(missing, OPENAI_CHAT, number))
        try:
            question = asked(operation, shape, body)
        except CodecError as exc:
            return perform(ScriptedReply(), refusing(str(exc), shape, number))
        reply = self._choose(question)
        if question.request is not None and operation == "generate":
            answer = generation(reply, shape, question.request, body, number)
        else:
            answer = answer_to(reply, question, number)
        return perform(reply, answer)

    def _choose(self, question: Question) -> ScriptedReply:
        fitting = [
            index for index, reply in enumerate(self._script.replies) if fits(reply.when, question)
        ]
        if not fitting:
            return ScriptedReply()
        index = next((index for index in fitting if index not in self._used), fitting[-1])
        self._used.add(index)
        return self._script.replies[index]
