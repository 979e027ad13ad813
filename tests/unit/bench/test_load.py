"""The load against the benchmark's own upstream: it counts what was answered, and finds out what was not."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.answers import MARK, SHAPE_PATHS, stream_events
from bench.load import Figures, Plan, quantiles, run
from bench.processes import free_port, start, stop, wait_port


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    number, log = free_port(), tmp_path_factory.mktemp("bench") / "upstream.log"
    command = [sys.executable, "-m", "bench.upstream", str(number)]
    process = start(command, core=None, log=log, seconds=60)
    wait_port(number, process, log)
    yield number
    stop(process)


def plan(port: int, body: str, path: str = "/v1/chat/completions", **fields: object) -> Plan:
    request = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    return Plan(**{"port": port, "request": request, "seconds": 0.2, **fields})  # type: ignore[arg-type]


def counts(figures: Figures) -> tuple[int, int, str]:
    return figures.chunks, figures.errors, figures.first_error


def test_closed_loop_answers_are_counted(port: int) -> None:
    figures = run(plan(port, "{}", connections=4))
    assert counts(figures) == (0, 0, "")
    assert figures.requests > 50
    assert len(figures.latency_ms) == 4


def test_open_loop_keeps_its_rate(port: int) -> None:
    figures = run(plan(port, "{}", rate=100.0))
    assert (figures.requests, counts(figures)) == (20, (0, 0, ""))


@pytest.mark.parametrize("shape", list(SHAPE_PATHS))
def test_streams_are_counted_by_their_chunks(port: int, shape: str) -> None:
    path = {str(name): path for name, path in SHAPE_PATHS.items()}[shape]
    figures = run(plan(port, '{"stream":true}', path, mark=MARK.decode(), marks=200))
    assert counts(figures) == (figures.requests * 200, 0, "")
    assert figures.requests > 0
    assert len(figures.first_chunk_ms) == 4


def test_a_stream_that_lacks_a_chunk_is_an_error(port: int) -> None:
    figures = run(plan(port, '{"stream":true}', mark=MARK.decode(), marks=201))
    assert figures.requests == 0
    assert figures.errors > 0
    assert figures.first_error.startswith("200 of 201 marks")


def test_a_large_request_that_takes_its_time_is_sent_whole(port: int) -> None:
    figures = run(plan(port, "x" * 500_000, upload_s=0.1))
    assert counts(figures) == (0, 0, "")
    assert figures.latency_ms[0] >= 80


@contextlib.contextmanager
def answering(*answers: bytes) -> Iterator[int]:
    """A server that gives each connection one of these and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in answers:
                with contextlib.suppress(OSError):
                    taken, _ = listener.accept()
                    with taken:
                        taken.recv(65_536)
                        taken.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
    thread.join(5)


def test_a_status_that_is_no_200_is_an_error() -> None:
    answer = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"
    with answering(answer) as port:
        figures = run(plan(port, "{}", rate=4.0))
    assert (figures.requests, counts(figures)) == (0, (0, 1, "status 502"))


def test_an_answer_that_breaks_off_is_an_error() -> None:
    with answering(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}") as port:
        figures = run(plan(port, "{}", rate=4.0))
    assert counts(figures) == (0, 1, "closed amid an answer")


def test_quantiles_are_in_milliseconds() -> None:
    values = array("d", (n * 1e6 for n in range(1, 101)))
    assert quantiles(values) == [51.0, 91.0, 100.0, 100.0]
    assert quantiles(array("d")) == []


def test_marks_stand_once_in_each_delta() -> None:
    counted = {
        shape: sum(event.count(MARK) for event in stream_events(shape)) for shape in SHAPE_PATHS
    }
    assert counted == {"chat": 200, "messages": 200, "responses": 200}


def test_a_program_that_does_not_start_is_told_with_its_words(tmp_path: Path) -> None:
    log = tmp_path / "broken.log"
    process = start([sys.executable, "-c", "raise SystemExit('no')"], core=None, log=log)
    with pytest.raises(SystemExit, match=r"broken did not start:\nno"):
        wait_port(free_port(), process, log)
    assert isinstance(process, subprocess.Popen)
