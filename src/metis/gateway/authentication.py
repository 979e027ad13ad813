"""Whose request this is: the Metis key among the credentials a request may carry. Keys live in `accounts`."""

from __future__ import annotations

from typing import Final, NamedTuple

from metis.accounts.ring import AuthRefusal, KeyRing
from metis.errors import Unauthenticated
from metis.facts.identity import Principal
from metis.http.known_heads import RequestHead

_MARK: Final = b"sk-metis-"
_BEARER: Final = b"bearer "
_REMEDY: Final = {
    "missing": "no key was sent; send a Metis key as x-api-key or Authorization: Bearer",
    "unknown": "this key is not known here; see 'metis keys list'",
    "revoked": "this key was revoked; ask for a new one, or see 'metis keys create'",
    "expired": "this key has expired; ask for a new one, or see 'metis keys rotate'",
}


class Authenticated(NamedTuple):
    """Who asks, and whether the request brings the client's own provider credential too."""

    principal: Principal
    client_credential: bool


class AuthFailure(Unauthenticated):
    """A 401 that also says what to write down: the reason and, for keys minted here, the prefix."""

    def __init__(self, reason: str, key_prefix: str, message: str) -> None:
        super().__init__(message, code="invalid_api_key")
        self.reason = reason
        self.key_prefix = key_prefix


class _Standing(NamedTuple):
    """What a head was found to be under one ring: the same bytes under the same keys are the same client."""

    who: Authenticated
    ring: int
    expires_ts: int | None


class _Presented(NamedTuple):
    """The credential that counts, and whether one of another kind came beside it."""

    key: bytes
    brings_own: bool


def authenticate(head: RequestHead, ring: KeyRing, now_ts: int) -> Authenticated:
    """Find and check the Metis key. `now_ts`: epoch microseconds.

    With `x-metis-key` the other credential headers are the client's own, for its provider.
    Raises AuthFailure: also when two differing Metis keys are there, since either could be meant.
    """
    standing = head.standing
    if (
        isinstance(standing, _Standing)
        and standing.ring == ring.serial
        and (standing.expires_ts is None or now_ts < standing.expires_ts)
    ):
        return standing.who
    presented = _presented(head)
    answer = ring.authenticate(presented.key, now_ts)
    if isinstance(answer, AuthRefusal):
        raise AuthFailure(answer.reason, answer.key_prefix, _REMEDY[answer.reason])
    who = Authenticated(answer, presented.brings_own)
    if head.known:
        head.standing = _Standing(who, ring.serial, ring.expiry(presented.key))
    return who


def _presented(head: RequestHead) -> _Presented:
    named = head.named
    bearer = _bearer(named.get(b"authorization", b""))
    api_key = named.get(b"x-api-key", b"")
    metis_key = named.get(b"x-metis-key", b"")
    found = {key for key in (bearer, api_key, metis_key) if key.startswith(_MARK)}
    if len(found) > 1:
        raise AuthFailure(
            "conflicting", "", "two differing Metis keys were sent; send one, or the same in both"
        )
    own = any(key and not key.startswith(_MARK) for key in (bearer, api_key))
    return _Presented(
        found.pop() if found else metis_key or api_key or bearer, bool(metis_key) and own
    )


def _bearer(value: bytes) -> bytes:
    if value[: len(_BEARER)].lower() == _BEARER:
        return value[len(_BEARER) :].strip()
    return b""
