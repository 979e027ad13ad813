"""Reading requests: what is whole is given out, what two parsers could read in two ways is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metis.errors import BadRequest, HeadersTooLarge, RequestError, TooLarge
from metis.http.server import HttpRequest, RequestReader

HEAD = b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: a\r\nX-Api-Key: k\r\n"


def reader(**limits: int) -> RequestReader:
    chosen = {"max_header_bytes": 4096, "max_body_bytes": 1000, **limits}
    return RequestReader(**chosen, on_head=lambda request: None)


def read(data: bytes, **limits: int) -> list[HttpRequest]:
    made = reader(**limits)
    made.feed(data)
    return list(made.ready)


def test_request_is_read_whole() -> None:
    (request,) = read(HEAD + b"Content-Length: 2\r\n\r\n{}")
    head = request.head
    assert (head.method, head.path, head.query, request.body) == (
        b"POST",
        b"/v1/messages",
        b"beta=true",
        b"{}",
    )
    assert head.headers == [(b"Host", b"a"), (b"X-Api-Key", b"k")]
    assert head.named[b"x-api-key"] == b"k"
    assert request.keep_alive


@given(st.lists(st.integers(1, 12), min_size=1, max_size=60))
def test_request_is_read_the_same_under_any_chunking(sizes: list[int]) -> None:
    data = HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n"
    made = reader()
    position = 0
    for size in sizes:
        made.feed(data[position : position + size])
        position += size
    made.feed(data[position:])
    (request,) = made.ready
    assert (request.head.path, request.body) == (b"/v1/messages", b"abcde")
    assert b"t" not in request.head.named


def test_pipelined_requests_are_given_in_order() -> None:
    one, two = (b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in (1, 2))
    assert [request.head.path for request in read(one + two)] == [b"/1", b"/2"]


AMBIGUOUS = {
    "both lengths": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both, other order": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "equal lengths twice": HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "length list": HEAD + b"Content-Length: 2, 2\r\n\r\n{}",
    "signed length": HEAD + b"Content-Length: +2\r\n\r\n{}",
    "space before colon": HEAD + b"Content-Length : 2\r\n\r\n{}",
    "unknown encoding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "encoding list": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "encoding twice": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "vertical tab": HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "bare LF": b"GET / HTTP/1.1\nHost: a\n\n",
    "bare LF in head": b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
    "bare CR in head": b"GET / HTTP/1.1\r\nHost: a\r\nX: b\rY: c\r\n\r\n",
    "folded header": b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
    "NUL": b"GET / HTTP/1.1\r\nHost: a\r\nX: b\0\r\n\r\n",
    "chunk size LF": HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
    "chunk too long": HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcX0\r\n\r\n",
    "negative chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
    "huge chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "CONNECT": b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "space in target": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "two keys": HEAD + b"X-Api-Key: other\r\n\r\n",
}


@pytest.mark.parametrize("data", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_ambiguous_request_is_refused(data: bytes) -> None:
    with pytest.raises(BadRequest):
        read(data)


@pytest.mark.parametrize("data", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_ambiguous_request_is_refused_byte_by_byte(data: bytes) -> None:
    made = reader()
    with pytest.raises(BadRequest):
        for position in range(len(data)):
            made.feed(data[position : position + 1])
        assert not made.ready


def test_request_before_closing_is_served_and_what_follows_is_not() -> None:
    data = (
        b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    (request,) = read(data)
    assert (request.head.path, request.keep_alive) == (b"/1", False)


def test_headers_over_the_limit_are_refused_before_they_end() -> None:
    made = reader(max_header_bytes=100)
    with pytest.raises(HeadersTooLarge):
        made.feed(b"GET / HTTP/1.1\r\nHost: a\r\n")
        for _ in range(20):
            made.feed(b"X-Long: aaaaaaaa\r\n")


def test_headers_over_the_limit_are_refused_in_one_piece() -> None:
    with pytest.raises(HeadersTooLarge):
        read(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 5000 + b"\r\n\r\n")


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 1001\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"a" * 1001 + b"\r\n0\r\n\r\n",
    ],
)
def test_body_over_the_limit_is_refused(framing: bytes) -> None:
    with pytest.raises(TooLarge, match="1000 bytes"):
        read(HEAD + framing)


def test_refusal_on_the_head_comes_before_the_body() -> None:
    def refuse(request: HttpRequest) -> None:
        raise TooLarge("not today")

    made = RequestReader(max_header_bytes=4096, max_body_bytes=1000, on_head=refuse)
    with pytest.raises(TooLarge, match="not today"):
        made.feed(HEAD + b"Content-Length: 500\r\n\r\n")


def test_upgrade_request_is_whole_and_ends_the_connection() -> None:
    (request,) = read(
        b"GET /v1/responses HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    assert (request.head.upgrade, request.keep_alive) == (True, False)


H2C = (
    b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
)
H2C_BODIES = [
    H2C + b"Content-Length: 11\r\n\r\nhello there",
    H2C + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n there\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("data", H2C_BODIES, ids=["length", "chunked"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_upgrade_that_nobody_does_leaves_the_body(data: bytes, size: int) -> None:
    made = reader()
    for start in range(0, len(data), size):
        assert not made.ready
        made.feed(data[start : start + size])
    (request,) = made.ready
    assert (request.head.method, request.head.path) == (b"POST", b"/v1/messages")
    assert (request.body, request.keep_alive, made.mid_request) == (b"hello there", False, False)


@pytest.mark.parametrize("data", H2C_BODIES, ids=["length", "chunked"])
def test_nothing_behind_the_body_of_an_ignored_upgrade_is_a_request(data: bytes) -> None:
    made = reader()
    made.feed(data + b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n")
    assert [request.body for request in made.ready] == [b"hello there"]
    made.feed(b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n")
    assert len(made.ready) == 1


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"Content-Length: +5\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n5x\r\nhello\r\n0\r\n\r\n",
    ],
)
def test_lengths_stay_strict_beside_an_upgrade(lines: bytes) -> None:
    with pytest.raises(BadRequest):
        read(H2C + lines)


def test_the_body_beside_an_upgrade_is_bounded() -> None:
    with pytest.raises(TooLarge):
        reader(max_body_bytes=4).feed(H2C_BODIES[0])
    with pytest.raises(TooLarge):
        reader(max_body_bytes=4).feed(H2C_BODIES[1])


@given(st.binary(max_size=300))
def test_any_bytes_give_requests_or_a_request_error(data: bytes) -> None:
    try:
        read(HEAD + data)
        read(data)
    except RequestError as error:
        assert 400 <= error.http_status < 500


def test_body_that_comes_with_the_heads_end_is_no_part_of_the_head() -> None:
    """A head in two segments, the second with the first 64 KiB of the body behind it."""
    made = reader(max_header_bytes=200, max_body_bytes=5000)
    made.feed(HEAD)
    made.feed(b"Content-Length: 3000\r\n\r\n" + b"a" * 3000)
    (request,) = made.ready
    assert len(request.body) == 3000
