"""How a decision is told once and referred to afterwards."""

from __future__ import annotations

import msgspec
from tests.ledgers import DECISION, NOON

from metis.trace.events import decode_event, encode_events
from metis.trace.events.groups import WHOSE
from metis.trace.events.route import RouteDecided, decision_id_of


def test_a_decisions_id_is_a_digest_of_its_json() -> None:
    encoded = msgspec.json.encode(DECISION)
    # Stored ids outlive this code: the digest may not change.
    assert decision_id_of(b"{}") == "2afb9b83f9314e5d029766197f539792"
    assert decision_id_of(encoded) == decision_id_of(msgspec.json.encode(DECISION))
    other = msgspec.structs.replace(DECISION, reason="a whim")
    assert decision_id_of(encoded) != decision_id_of(msgspec.json.encode(other))


def test_a_decision_that_is_referred_to_is_short_on_disk() -> None:
    whose = WHOSE.pack(org_id="default")
    told = RouteDecided("turn_1", NOON, whose, "0" * 32, DECISION, 3)
    referring = RouteDecided("turn_1", NOON, whose, "0" * 32)
    assert [decode_event(encode_events([event])) for event in (told, referring)] == [
        *(told, referring),
    ]
    assert msgspec.json.decode(encode_events([referring])) == [
        *("route.decided", "turn_1", NOON, {"org_id": "default"}),
        *("0" * 32, None, 0),
    ]
