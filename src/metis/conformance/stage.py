"""Where a scenario plays: one target between the suite's client and its upstream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from metis.conformance.client import NoAnswer, Opened, Outgoing, Reply, opened, send
from metis.conformance.dialects.dialect import Dialect, Name
from metis.conformance.judging import Failed, NotApplicable
from metis.conformance.neutral import Answer, Asked, Prompt, Understood
from metis.conformance.upstream import Script, Seen, Upstream, new_word, say

_REFUSALS: Final = (400, 422)
_HELLO: Final = say(Answer(text="Hello from the upstream."))


@dataclass(frozen=True)
class Target:
    """The gateway that is tried. `headers` are sent to reach an upstream, by its API; "" holds those for all.

    `alias`: another name for the Anthropic model, without "claude" in it; None: the target has none.
    """

    url: str
    key: str
    models: Mapping[Name, str]
    headers: Mapping[str, tuple[tuple[str, str], ...]] = field(
        default_factory=dict[str, tuple[tuple[str, str], ...]]
    )
    alias: str | None = None
    silence_s: float = 20.0
    timeout_s: float = 60.0
    bearer: bool = False

    def credentials(self, shape: Name) -> list[tuple[str, str]]:
        """How the shape's clients show a key: x-api-key, or a bearer token."""
        if shape == "anthropic" and not self.bearer:
            return [("x-api-key", self.key)]
        return [("authorization", f"Bearer {self.key}")]


class Stage:
    """One case's view of it: `shape` is the client's API, `behind` the upstream's, `word` marks its requests."""

    def __init__(self, target: Target, upstream: Upstream, shape: Dialect, behind: Dialect) -> None:
        self.target, self.shape, self.behind = target, shape, behind
        self.word = new_word()
        self._upstream = upstream

    @property
    def model(self) -> str:
        return self.target.models[self.behind.name]

    @property
    def seen(self) -> list[Seen]:
        """The requests of this case that reached the upstream so far."""
        return self._upstream.seen.setdefault(self.word, [])

    @property
    def thinks(self) -> bool:
        """Whether a client asks for thinking: chat upstreams that think do so unasked."""
        return self.shape.name != "openai" or self.behind.name != "openai"

    def play(self, script: Script) -> None:
        """What the upstream does from now on."""
        self._upstream.scripts[self.word] = script

    def close(self) -> None:
        self._upstream.scripts.pop(self.word, None)
        self._upstream.seen.pop(self.word, None)

    def body_of(self, prompt: Prompt, *, stream: bool = False) -> dict[str, Any]:
        """A prompt as this shape writes it, marked with the case's word."""
        marked = replace(prompt, user=f"{prompt.user} ({self.word})")
        return self.shape.request(marked, self.model, stream)

    def outgoing(
        self,
        body: Mapping[str, Any] | bytes,
        *,
        headers: Sequence[tuple[str, str]] = (),
        path: str | None = None,
    ) -> Outgoing:
        """A POST of this shape; a mapping goes out as compact JSON."""
        if not isinstance(body, bytes):
            body = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        lines = [("content-type", "application/json"), ("accept", "*/*")]
        if self.shape.name == "anthropic":
            lines.append(("anthropic-version", "2023-06-01"))
        lines += self.target.credentials(self.shape.name)
        lines += self.target.headers.get("", ())
        lines += self.target.headers.get(self.behind.name, ())
        given = {name.lower() for name, _ in headers}
        lines = [*(line for line in lines if line[0] not in given), *headers]
        return Outgoing("POST", path or self.shape.path, lines, body)

    async def post(
        self,
        body: Mapping[str, Any] | bytes,
        *,
        script: Script = _HELLO,
        headers: Sequence[tuple[str, str]] = (),
        path: str | None = None,
    ) -> Reply:
        """Send a body as it is and wait for the whole answer. Raises NoAnswer, NotApplicable."""
        self.play(script)
        outgoing = self.outgoing(body, headers=headers, path=path)
        reply = await send(self.target.url, outgoing, most_s=self.target.timeout_s)
        self._reached()
        return reply

    async def ask(self, prompt: Prompt, *, script: Script = _HELLO, stream: bool = False) -> Reply:
        """Send a prompt and wait for the whole answer. Raises NoAnswer, NotApplicable.

        A target may know that a model does not take a parameter, and say so instead of asking: that is no defect.
        """
        reply = await self.post(self.body_of(prompt, stream=stream), script=script)
        if reply.status in _REFUSALS and not self.seen and (prompt.more or prompt.thinks):
            raise NotApplicable(f"the target refuses a parameter itself: {_text(reply)}")
        return reply

    async def answered(
        self, prompt: Prompt, answer: Answer, *, stream: bool = False
    ) -> dict[str, Any]:
        """What the client has in hand after a prompt was answered: the whole answer, of a stream the joined one.

        Raises Failed when the answer is not good.
        """
        return self.whole(await self.ask(prompt, script=say(answer), stream=stream), stream=stream)

    def whole(self, reply: Reply, *, stream: bool) -> dict[str, Any]:
        """A good reply's answer. Raises Failed for any other."""
        if reply.status != 200:
            raise Failed("status 200", f"{reply.status} {_text(reply)}")
        if not stream:
            if not reply.json:
                raise Failed("a JSON object", _text(reply))
            return reply.json
        try:
            return self.shape.fold(reply.events)
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise Failed("a stream that a client can join", f"{exc!r} in {_text(reply)}") from exc

    def understood(self, answer: dict[str, Any]) -> Understood:
        return self.shape.understand(answer)

    def asked(self, number: int = -1) -> Asked:
        """What reached the upstream, read as its API reads it. Raises Failed when nothing did."""
        return self.behind.asked(self.sent(number))

    def sent(self, number: int = -1) -> dict[str, Any]:
        """The body of a request that reached the upstream, the last one unless told. Raises Failed when none did."""
        if not self.seen:
            raise Failed("a request at the upstream", "none")
        return self.seen[number].json

    @asynccontextmanager
    async def watch(
        self, prompt: Prompt, script: Script, *, stream: bool
    ) -> AsyncGenerator[Opened]:
        """An exchange whose pieces are awaited one by one; leaving hangs up. Raises NoAnswer."""
        self.play(script)
        outgoing = self.outgoing(self.body_of(prompt, stream=stream))
        try:
            async with (
                asyncio.timeout(self.target.timeout_s + self.target.silence_s),
                opened(self.target.url, outgoing) as exchange,
            ):
                yield exchange
        except TimeoutError as exc:
            raise NoAnswer("no whole answer in time") from exc
        self._reached()

    def _reached(self) -> None:
        """Raises NotApplicable when the target took the request to another API than the scenario speaks of."""
        for seen in self.seen:
            if seen.dialect is not self.behind and seen.dialect is not None:
                raise NotApplicable(
                    f"the target asks this model by {seen.path}, not by {self.behind.path}"
                )


def _text(reply: Reply) -> str:
    return reply.body[:300].decode(errors="replace")
