import msgspec
import pytest
from tests.ledgers import call, replace

from metis.errors import LedgerError
from metis.trace.events import KeyRevoked
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
REVOKED = KeyRevoked(event_id="evt_1", ts=1, key_id="key_1", actor="cli")


def test_frames_are_read_back_in_the_order_of_writing() -> None:
    assert scan(BODY, 16, complete=True) == Scan(FRAMES, [], 16 + len(BODY), "clean", 8)
    assert [decode_payload(payload) for _, payload in FRAMES] == [
        ([STARTED], []),
        ([STARTED, COMPLETED], []),
        ([COMPLETED], []),
    ]


def test_events_of_both_forms_stand_in_one_frame_and_a_damaged_one_is_found_by_either() -> None:
    mixed, alone = encode_frame([STARTED, REVOKED, COMPLETED]), encode_frame([REVOKED])
    assert decode_payload(mixed[8:]) == ([STARTED, REVOKED, COMPLETED], [])
    assert decode_frames([(0, mixed[8:]), (9, alone[8:])]) == (
        [STARTED, REVOKED, COMPLETED, REVOKED],
        [],
    )
    for after in (mixed, alone):
        found = scan(b"\xff" * 20 + after, 0, complete=True)
        assert found == Scan(
            [(20, after[8:])], [Damage(0, b"\xff" * 20)], 20 + len(after), "clean", 8
        )


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


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'["of.tomorrow","turn_1",1]', "of.tomorrow"),
        (b'["event",{"event":"of.tomorrow","event_id":"e","ts":1}]', "of.tomorrow"),
        # An object stands inside an array, and an array by itself.
        (b'{"event":"gateway.key_revoked","event_id":"e","ts":1}', "Expected `array`"),
        (b'["event",["turn.completed","turn_1",1,{},{}]]', "Expected `object`"),
        (b'["turn.completed","turn_1",1,{}]', "at least length 5"),
        (b'["turn.completed","turn_1","noon",{},{}]', "Expected `int`"),
        (b'["route.decided","turn_1",1,"ann"]', "Expected `object`"),
        (b'["llm.call_started","turn_1",1,{},{"role":"of tomorrow"},1,"",0]', "of tomorrow"),
        (b'["turn.completed","turn_1",1,{},{"operation":"generate"}]', "missing required"),
    ],
)
def test_a_line_that_is_no_event_is_set_apart_from_its_neighbours(line: bytes, why: str) -> None:
    payload = FIRST[8:] + line + b"\n" + THIRD[8:]
    events, refused = decode_payload(payload)
    assert events == [STARTED, COMPLETED]
    assert [line for _, line in refused] == [line]
    assert why in refused[0][0]
    assert decode_frames([(500, payload)], careful=True) == (
        events,
        [(500, *refused[0])],
    )


def test_an_event_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(LedgerError, match="cannot be written as JSON"):
        encode_frame([STARTED, replace(COMPLETED, response_id="lone \ud800 surrogate")])
    with pytest.raises(LedgerError, match="cannot be written as JSON"):
        encode_frame([STARTED, msgspec.structs.replace(REVOKED, actor="lone \ud800 surrogate")])


def test_a_header_is_known_by_its_magic_and_its_version() -> None:
    assert check_header(SEGMENT_HEADER)
    assert not check_header(SEGMENT_HEADER[:-1])
    assert not check_header(bytes(16))
    for version in (1, 3):  # format 1 had objects instead of arrays
        with pytest.raises(LedgerError, match=f"has format {version}, this Metis reads 2"):
            check_header(b"metis-spool\0%c\0\0\0" % version)


def test_frames_are_decoded_together_and_a_line_that_is_no_event_costs_only_itself() -> None:
    assert decode_frames(FRAMES) == ([STARTED, STARTED, COMPLETED, COMPLETED], [])
    tomorrow = b'["of.tomorrow","turn_1",1,{}]\n'
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
