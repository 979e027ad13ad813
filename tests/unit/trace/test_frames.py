import pytest
from tests.ledgers import call, replace

from metis.errors import LedgerError
from metis.trace.frames import (
    SEGMENT_HEADER,
    Damage,
    Scan,
    check_header,
    decode_frames,
    decode_payload,
    encode_frame,
    scan,
)

STARTED, COMPLETED = call()
FIRST = encode_frame([STARTED])
SECOND = encode_frame([STARTED, COMPLETED])
THIRD = encode_frame([COMPLETED])
FRAMES = [
    (16, FIRST[8:]),
    (16 + len(FIRST), SECOND[8:]),
    (16 + len(FIRST) + len(SECOND), THIRD[8:]),
]
BODY = FIRST + SECOND + THIRD


def test_frames_are_read_back_in_the_order_of_writing() -> None:
    assert scan(BODY, 16, complete=True) == Scan(FRAMES, [], 16 + len(BODY), "clean", 8)
    assert [decode_payload(payload) for _, payload in FRAMES] == [
        ([STARTED], []),
        ([STARTED, COMPLETED], []),
        ([COMPLETED], []),
    ]


@pytest.mark.parametrize("complete", [True, False])
def test_a_body_cut_at_any_byte_gives_the_whole_frames_before_the_cut(complete: bool) -> None:
    ends = [len(FIRST), len(FIRST) + len(SECOND), len(BODY)]
    for cut in range(len(BODY)):
        whole = sum(end <= cut for end in ends)
        found = scan(BODY[:cut], 16, complete=complete)
        expected_end = 16 + (ends[whole - 1] if whole else 0)
        assert (found.frames, found.damages, found.next_offset) == (
            FRAMES[:whole],
            [],
            expected_end,
        ), cut
        assert found.tail == ("clean" if 16 + cut == expected_end else "short"), cut


def test_one_damaged_byte_anywhere_costs_only_its_own_frame() -> None:
    for index in range(len(FIRST), len(FIRST) + len(SECOND)):
        damaged = bytearray(BODY)
        damaged[index] ^= 0x5A
        found = scan(bytes(damaged), 16, complete=True)
        assert found.frames == [FRAMES[0], FRAMES[2]], index
        data = bytes(damaged[len(FIRST) : len(FIRST) + len(SECOND)])
        assert found.damages == [Damage(FRAMES[1][0], data)], index
        assert (found.next_offset, found.tail) == (16 + len(BODY), "clean"), index


def test_zeros_at_the_end_are_bad_and_no_frame() -> None:
    found = scan(FIRST + bytes(4096), 16, complete=True)
    assert found == Scan(FRAMES[:1], [], 16 + len(FIRST), "bad", 8)


def test_a_buffer_that_ends_inside_a_frame_says_how_much_is_wanted() -> None:
    found = scan(SECOND[:100], 16, complete=False)
    assert found == Scan([], [], 16, "short", len(SECOND))


def test_a_line_that_is_no_event_is_set_apart_from_its_neighbours() -> None:
    payload = FIRST[8:] + b'{"event":"of.tomorrow","event_id":"e","ts":1}\n' + THIRD[8:]
    events, refused = decode_payload(payload)
    assert events == [STARTED, COMPLETED]
    assert [line for _, line in refused] == [b'{"event":"of.tomorrow","event_id":"e","ts":1}']
    assert "of.tomorrow" in refused[0][0]


def test_an_event_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(LedgerError, match="cannot be written as JSON"):
        encode_frame([replace(STARTED, model="lone \ud800 surrogate")])


def test_a_header_is_known_by_its_magic_and_its_version() -> None:
    assert check_header(SEGMENT_HEADER)
    assert not check_header(SEGMENT_HEADER[:-1])
    assert not check_header(bytes(16))
    with pytest.raises(LedgerError, match="has format 2, this Metis reads 1"):
        check_header(b"metis-spool\0\x02\0\0\0")


def test_frames_are_decoded_together_and_a_line_that_is_no_event_costs_only_itself() -> None:
    assert decode_frames(FRAMES) == ([STARTED, STARTED, COMPLETED, COMPLETED], [])
    tomorrow = b'{"event":"of.tomorrow","event_id":"e","ts":1}\n'
    unended = FIRST[
        8:
    ].rstrip()  # nothing that this Metis writes; it must not run into the next frame
    frames = [FRAMES[0], (500, tomorrow * 2 + THIRD[8:]), (900, unended), (1300, THIRD[8:])]
    events, refused = decode_frames(frames)
    assert events == [STARTED, COMPLETED, STARTED, COMPLETED]
    assert [(place, line) for place, _, line in refused] == [
        (500, tomorrow.rstrip()),
        (501, tomorrow.rstrip()),
    ]
