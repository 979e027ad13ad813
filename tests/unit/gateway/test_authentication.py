"""What a head was found to be is kept with it, and never longer than the keys that said so."""

from __future__ import annotations

import msgspec
import pytest

from metis.accounts.keys import KeySpec, MintedKey, mint
from metis.accounts.ring import KeyRing
from metis.gateway.authentication import AuthFailure, authenticate
from metis.http.known_heads import RequestHead

NOW = 1_795_176_000_000_000
SECOND = 1_000_000


def head_with(minted: MintedKey, *, known: bool = True) -> RequestHead:
    head = RequestHead()
    head.named = {b"authorization": b"Bearer " + minted.plaintext.encode()}
    head.known = known
    return head


def test_a_known_head_is_answered_again_without_asking_the_ring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    minted = mint(KeySpec(user_id="ann"), now_ts=NOW)
    ring, head = KeyRing([minted.record]), head_with(minted)
    first = authenticate(head, ring, NOW)
    monkeypatch.setattr(KeyRing, "authenticate", None)
    assert authenticate(head, ring, NOW + SECOND) is first
    assert first.principal.user_id == "ann"


def test_a_revocation_holds_for_the_very_next_request() -> None:
    minted = mint(KeySpec(), now_ts=NOW)
    head = head_with(minted)
    authenticate(head, KeyRing([minted.record]), NOW)
    revoked = msgspec.structs.replace(minted.record, revoked_ts=NOW)
    with pytest.raises(AuthFailure, match="revoked"):
        authenticate(head, KeyRing([revoked]), NOW)
    with pytest.raises(AuthFailure, match="not known"):
        authenticate(head, KeyRing([]), NOW)


def test_a_key_that_expires_between_two_requests_is_refused() -> None:
    minted = mint(KeySpec(expires_ts=NOW + SECOND), now_ts=NOW)
    ring, head = KeyRing([minted.record]), head_with(minted)
    authenticate(head, ring, NOW + SECOND - 1)
    with pytest.raises(AuthFailure, match="expired"):
        authenticate(head, ring, NOW + SECOND)


def test_nothing_is_kept_with_a_head_that_may_never_come_again() -> None:
    minted = mint(KeySpec(), now_ts=NOW)
    head = head_with(minted, known=False)
    authenticate(head, KeyRing([minted.record]), NOW)
    assert head.standing is None


def test_two_differing_metis_keys_are_refused_however_often_they_come() -> None:
    one, two = mint(KeySpec(), now_ts=NOW), mint(KeySpec(), now_ts=NOW)
    head = head_with(one)
    head.named[b"x-api-key"] = two.plaintext.encode()
    ring = KeyRing([one.record, two.record])
    for _ in range(2):
        with pytest.raises(AuthFailure, match="two differing"):
            authenticate(head, ring, NOW)
