"""Reading responses: head, body and end under any chunking; interim answers skipped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metis.http.client import BadResponse, ResponseReader

CHUNKED = (
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
)


@given(st.lists(st.integers(1, 15), max_size=60))
def test_chunked_response_is_read_the_same_under_any_chunking(sizes: list[int]) -> None:
    reader, body, position = ResponseReader(), b"", 0
    for size in [*sizes, len(CHUNKED)]:
        body += reader.feed(CHUNKED[position : position + size])
        position += size
        if position >= len(CHUNKED):
            break
    assert (reader.status, body, reader.complete, reader.keep_alive) == (
        200,
        b"hello world",
        True,
        True,
    )
    assert reader.headers == [
        (b"Content-Type", b"text/event-stream"),
        (b"Transfer-Encoding", b"chunked"),
    ]


def test_body_without_length_ends_with_the_connection() -> None:
    reader = ResponseReader()
    body = reader.feed(b"HTTP/1.1 200 OK\r\n\r\nabc")
    assert (body, reader.complete) == (b"abc", False)
    assert reader.eof()
    assert not reader.keep_alive


def test_body_cut_before_its_length_is_not_complete() -> None:
    reader = ResponseReader()
    reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    assert not reader.eof()


def test_bytes_behind_the_answer_end_the_connections_use() -> None:
    reader = ResponseReader()
    body = reader.feed(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nX: y\r\n\r\n"
    )
    assert (body, reader.complete, reader.keep_alive) == (b"ok", True, False)
    assert reader.headers == [(b"Content-Length", b"2")]


def test_connection_close_is_heard() -> None:
    reader = ResponseReader()
    reader.feed(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    assert (reader.complete, reader.keep_alive) == (True, False)


@pytest.mark.parametrize("data", [b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\x00\x01"])
def test_what_is_not_http_is_told(data: bytes) -> None:
    with pytest.raises(BadResponse):
        ResponseReader().feed(data)
