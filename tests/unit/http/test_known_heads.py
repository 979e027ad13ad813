"""Heads that came before are not parsed again: what is read must be the same as if they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metis.errors import BadRequest, TooLarge
from metis.http.known_heads import KnownHeads, RequestHead
from metis.http.server import RequestReader

HEADS = (
    b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nX-Api-Key: k\r\nContent-Length: %d\r\n\r\n",
    b"POST /v1/messages HTTP/1.1\r\ncontent-length: %d\r\nHost: a\r\nX-Api-Key: other\r\n\r\n",
    b"POST /v1/responses?x=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n",
)
Seen = tuple[bytes, bytes, dict[bytes, bytes], bytes, bool]


def fresh(known: KnownHeads | None) -> RequestReader:
    return RequestReader(
        max_header_bytes=4096, max_body_bytes=1000, on_head=lambda head: None, known=known
    )


def taken(made: RequestReader) -> list[Seen]:
    seen = [(r.head.path, r.head.query, r.head.named, r.body, r.keep_alive) for r in made.ready]
    made.ready.clear()
    return seen


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces: list[bytes] = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in (*pieces, data) if piece]


requests = st.lists(st.tuples(st.sampled_from(HEADS[:2]), st.integers(0, 40)), max_size=6)


@given(requests, st.lists(st.integers(1, 150), max_size=12), st.booleans())
def test_known_heads_read_the_same_as_new_ones(
    sent: list[tuple[bytes, int]], sizes: list[int], take_early: bool
) -> None:
    data = b"".join(head % size + b"b" * size for head, size in sent)
    known = KnownHeads()
    for head in HEADS[:2]:
        fresh(known).feed(head % 3 + b"abc")
    results: list[list[Seen]] = []
    for made in (fresh(known), fresh(KnownHeads())):
        seen: list[Seen] = []
        for piece in cut(data, sizes):
            made.feed(piece)
            if take_early:
                seen += taken(made)
        results.append(seen + taken(made))
    assert results[0] == results[1]
    assert len(results[0]) == len(sent)


def test_known_head_is_found_again_with_another_length() -> None:
    known = KnownHeads()
    made = fresh(known)
    made.feed(HEADS[0] % 3 + b"abc")
    first = made.ready.popleft()
    made.feed(HEADS[0] % 5 + b"abcde")
    second = made.ready.popleft()
    assert second.head is first.head
    assert (first.body, second.body) == (b"abc", b"abcde")


def test_credentials_are_part_of_what_must_be_equal() -> None:
    known = KnownHeads()
    made = fresh(known)
    made.feed(HEADS[0] % 3 + b"abc")
    made.feed((HEADS[0] % 3).replace(b"X-Api-Key: k", b"X-Api-Key: l") + b"abc")
    assert [request.head.named[b"x-api-key"] for request in made.ready] == [b"k", b"l"]


def test_pipelined_heads_are_not_taken_for_one_another() -> None:
    known = KnownHeads()
    both = HEADS[0] % 1 + b"a" + HEADS[1] % 1 + b"b"
    for _ in range(3):
        made = fresh(known)
        made.feed(both)
        assert [request.head.named[b"x-api-key"] for request in made.ready] == [b"k", b"other"]


def test_known_head_with_too_long_a_body_is_refused() -> None:
    known = KnownHeads()
    fresh(known).feed(HEADS[0] % 3 + b"abc")
    with pytest.raises(TooLarge):
        fresh(known).feed(HEADS[0] % 1001)


def test_nothing_is_read_behind_a_closing_request() -> None:
    known = KnownHeads()
    fresh(known).feed(HEADS[0] % 1 + b"a")
    made = fresh(known)
    made.feed(HEADS[2] % 1 + b"a")
    assert [request.keep_alive for request in made.ready] == [False]
    made.ready.clear()
    with pytest.raises(BadRequest):
        made.feed(HEADS[0] % 1 + b"a")


def test_garbage_behind_a_known_request_ends_that_connection_only() -> None:
    known = KnownHeads()
    fresh(known).feed(HEADS[0] % 1 + b"a")
    for made in (fresh(known), fresh(None)):
        with pytest.raises(BadRequest):
            made.feed(HEADS[0] % 1 + b"a" + b"\x00\x00garbage\r\n\r\n")
        assert len(made.ready) == 1
    other = fresh(known)
    other.feed(HEADS[0] % 1 + b"a")
    assert other.ready[0].keep_alive


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\nContent-Length: 1\r\n\r\n",
    ],
)
def test_refused_head_stays_refused(head: bytes) -> None:
    known = KnownHeads()
    for _ in range(2):
        with pytest.raises(BadRequest):
            fresh(known).feed(head + b"a")


def test_only_so_many_heads_are_kept() -> None:
    known = KnownHeads()
    heads = [HEADS[0].replace(b"k", b"k%d" % number) for number in range(600)]
    for head in heads:
        fresh(known).feed(head % 1 + b"a")
    assert known.find(heads[0] % 1 + b"a", RequestHead()) is None
    assert known.find(heads[-1] % 1 + b"a", RequestHead()) is not None
