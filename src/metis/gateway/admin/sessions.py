"""Who may use the admin plane: the admin token, one-time login links, and the browser sessions these open.

Links and sessions live in memory, as digests, and end with the process. No HTTP here.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Final

LINK_LIFE_S: Final = 600
SESSION_LIFE_S: Final = 12 * 3600
_MAX_LINKS: Final = 16
_MAX_SESSIONS: Final = 64


def digest_of(token: str) -> bytes:
    """SHA-256 of an admin token, 32 bytes. The token is 256 random bits, so a plain hash protects it."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def mint_admin_token() -> str:
    """Make a new admin token: 256 random bits, with a readable start."""
    return "metis-admin-" + secrets.token_urlsafe(32)


class AdminSessions:
    """Check admin tokens, hand out one-time login links, and keep the browser sessions they open.

    `now_us` is epoch microseconds. When there are too many links or sessions the oldest one ends.
    """

    def __init__(self, token_digest: bytes, now_us: Callable[[], int]) -> None:
        self._token_digest = token_digest
        self._now_us = now_us
        self._links: dict[bytes, int] = {}
        self._sessions: dict[bytes, int] = {}

    def is_admin_token(self, token: str) -> bool:
        """Compare a presented token with the admin token in constant time."""
        return hmac.compare_digest(digest_of(token), self._token_digest)

    def issue_link_token(self) -> str:
        """Make the token of a login link that works once, within LINK_LIFE_S seconds."""
        return self._issue(self._links, LINK_LIFE_S, _MAX_LINKS)

    def redeem_link_token(self, token: str) -> str | None:
        """Use a login link up: the new session's cookie value, or None when the link is not good (any more)."""
        expires = self._links.pop(digest_of(token), None)
        if expires is None or expires <= self._now_us():
            return None
        return self.open_session()

    def open_session(self) -> str:
        """Open a browser session; returns its cookie value."""
        return self._issue(self._sessions, SESSION_LIFE_S, _MAX_SESSIONS)

    def is_session(self, cookie: str) -> bool:
        """Tell whether a cookie value belongs to a session that has not ended."""
        expires = self._sessions.get(digest_of(cookie))
        return expires is not None and expires > self._now_us()

    def end_session(self, cookie: str) -> None:
        """End a browser session, if there is one."""
        self._sessions.pop(digest_of(cookie), None)

    def _issue(self, kept: dict[bytes, int], life_s: int, most: int) -> str:
        now = self._now_us()
        for digest in [digest for digest, expires in kept.items() if expires <= now]:
            del kept[digest]
        while len(kept) >= most:
            del kept[next(iter(kept))]
        token = secrets.token_urlsafe(32)
        kept[digest_of(token)] = now + life_s * 1_000_000
        return token
