import msgspec
import pytest

from metis.accounts.keys import KeySpec, MintedKey, mint
from metis.accounts.ring import AuthRefusal, KeyRing
from metis.facts.identity import Principal

NOW = 1_795_176_000_000_000


@pytest.fixture
def minted() -> MintedKey:
    spec = KeySpec(user_id="ann", allowed_models=("claude-*",), pinned_model="m", budgeted=True)
    return mint(spec, now_ts=NOW)


def test_a_good_key_stands_for_its_owner(minted: MintedKey) -> None:
    ring = KeyRing([mint(KeySpec(), now_ts=NOW).record, minted.record])
    assert ring.authenticate(minted.plaintext.encode(), NOW) == Principal(
        key_id=minted.record.key_id,
        user_id="ann",
        allowed_models=("claude-*",),
        pinned_model="m",
        budgeted=True,
    )
    assert len(ring) == 2


def test_a_key_is_refused_for_the_first_reason_that_holds(minted: MintedKey) -> None:
    good, prefix = minted.plaintext.encode(), minted.record.prefix
    revoked = msgspec.structs.replace(minted.record, revoked_ts=NOW + 99, expires_ts=NOW - 1)
    expired = msgspec.structs.replace(minted.record, expires_ts=NOW)
    ring = KeyRing([minted.record])
    assert ring.authenticate(b"", NOW) == AuthRefusal("missing")
    assert ring.authenticate(b"sk-ant-someone-elses", NOW) == AuthRefusal("unknown")
    assert KeyRing([]).authenticate(good, NOW) == AuthRefusal("unknown")
    assert KeyRing([revoked]).authenticate(good, NOW) == AuthRefusal("revoked", prefix)
    assert KeyRing([expired]).authenticate(good, NOW) == AuthRefusal("expired", prefix)


def test_a_key_expires_at_its_time_and_not_before(minted: MintedKey) -> None:
    ring = KeyRing([msgspec.structs.replace(minted.record, expires_ts=NOW + 10)])
    assert isinstance(ring.authenticate(minted.plaintext.encode(), NOW + 9), Principal)
    assert isinstance(ring.authenticate(minted.plaintext.encode(), NOW + 10), AuthRefusal)


def test_a_key_with_any_byte_changed_is_unknown_and_names_no_prefix(minted: MintedKey) -> None:
    ring = KeyRing([minted.record])
    good = minted.plaintext.encode()
    for index in range(len(good)):
        wrong = bytearray(good)
        wrong[index] ^= 1
        assert ring.authenticate(bytes(wrong), NOW) == AuthRefusal("unknown"), index
    for wrong in (good[:-1], good + b"x", good + b"\n", good[:17], b"\xff\xfe"):
        assert ring.authenticate(wrong, NOW) == AuthRefusal("unknown"), wrong


def test_a_revoked_keys_prefix_is_not_told_to_who_does_not_hold_it(minted: MintedKey) -> None:
    ring = KeyRing([msgspec.structs.replace(minted.record, revoked_ts=NOW)])
    guess = minted.record.prefix.encode() + b"-" + b"0" * 36
    assert ring.authenticate(guess, NOW) == AuthRefusal("unknown")
