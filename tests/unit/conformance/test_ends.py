"""The suite's upstream and client on each other: bytes, pieces, times, breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from metis.conformance.client import NoAnswer, Outgoing, opened, send
from metis.conformance.neutral import Answer
from metis.conformance.upstream import (
    Script,
    Seen,
    Upstream,
    Wire,
    new_word,
    one_after_another,
    say,
)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream(["claude-x"])
    await made.start("127.0.0.1", 0)
    yield made
    await made.stop()


def asking(upstream: Upstream, script: Script, body: str = "{}") -> tuple[str, str, Outgoing]:
    """Where to send a request, the word that marks it, and the request."""
    word = new_word()
    upstream.scripts[word] = script
    raw = body.replace("{", f'{{"user":"{word}"', 1).encode()
    lines = [("X-Mixed", "Case")]
    return f"http://127.0.0.1:{upstream.port}", word, Outgoing("POST", "/v1/messages", lines, raw)


async def test_a_request_is_recorded_as_it_came(upstream: Upstream) -> None:
    url, word, outgoing = asking(upstream, say(Answer(text="Hi.")))
    reply = await send(url, outgoing, most_s=5)
    (seen,) = upstream.seen[word]
    assert (reply.status, reply.json["content"]) == (200, [{"type": "text", "text": "Hi."}])
    assert (seen.path, seen.body, seen.head.header("x-mixed")) == (
        "/v1/messages",
        outgoing.body,
        "Case",
    )
    assert seen.dialect is not None


async def test_scripts_follow_one_another_and_the_last_repeats(upstream: Upstream) -> None:
    script = one_after_another(say(Answer(text="a")), say(Answer(text="b")))
    url, _, outgoing = asking(upstream, script)
    told = [(await send(url, outgoing, most_s=5)).json["content"][0]["text"] for _ in range(3)]
    assert told == ["a", "b", "b"]


async def test_requests_nobody_marked_disturb_nothing(upstream: Upstream) -> None:
    url = f"http://127.0.0.1:{upstream.port}"
    models = await send(url, Outgoing("GET", "/v1/models", []), most_s=5)
    assert [one["id"] for one in models.json["data"]] == ["claude-x"]
    head = await send(url, Outgoing("HEAD", "/", []), most_s=5)
    assert (head.status, head.body, head.cut) == (200, b"", False)
    assert upstream.seen == {}


async def test_pieces_come_as_they_are_sent(upstream: Upstream) -> None:
    async def script(_seen: Seen, wire: Wire) -> None:
        await wire.begin_stream()
        for piece in (b"one", b"two"):
            await wire.piece(piece)
            await asyncio.sleep(0.2)
        await wire.end()

    url, _, outgoing = asking(upstream, script)
    reply = await send(url, outgoing, most_s=5)
    (first_s, first), (second_s, second) = reply.arrivals
    assert (first, second, reply.cut) == (b"one", b"two", False)
    assert 0.1 < second_s - first_s < 1


async def test_a_stream_that_breaks_off_is_seen_as_cut(upstream: Upstream) -> None:
    async def script(_seen: Seen, wire: Wire) -> None:
        await wire.begin_stream()
        await wire.piece(b"half")
        await asyncio.sleep(0.05)
        wire.cut()

    url, _, outgoing = asking(upstream, script)
    reply = await send(url, outgoing, most_s=5)
    assert (reply.body, reply.cut) == (b"half", True)


async def test_the_upstream_sees_a_client_leave(upstream: Upstream) -> None:
    left = asyncio.Event()

    async def script(_seen: Seen, wire: Wire) -> None:
        await wire.begin_stream()
        await wire.piece(b"x")
        if await wire.until_gone(5):
            left.set()

    url, word, outgoing = asking(upstream, script)
    async with opened(url, outgoing) as exchange:
        assert await exchange.next_piece()
        assert upstream.seen[word][0].gone_s is None
    await asyncio.wait_for(left.wait(), 3)
    assert upstream.seen[word][0].gone_s is not None


async def test_silence_is_no_answer(upstream: Upstream) -> None:
    async def script(_seen: Seen, wire: Wire) -> None:
        await wire.until_gone(5)

    url, _, outgoing = asking(upstream, script)
    with pytest.raises(NoAnswer, match=r"within 0\.2 s"):
        await send(url, outgoing, most_s=0.2)
