"""The `gateway`, `config` and `admin` families: keys, refusals, settings. Never a key's secret."""

from __future__ import annotations

from metis.trace.events.event import Event


class KeyCreated(Event, frozen=True, kw_only=True, tag="gateway.key_created"):
    """A key was minted for `key_id`; `actor` is who asked (cli, admin, bootstrap)."""

    name: str = ""
    actor: str = ""

    is_compliance = True


class KeyRotated(Event, frozen=True, kw_only=True, tag="gateway.key_rotated"):
    """`key_id` was replaced by `new_key_id`."""

    new_key_id: str
    actor: str = ""

    is_compliance = True


class KeyRevoked(Event, frozen=True, kw_only=True, tag="gateway.key_revoked"):
    actor: str = ""

    is_compliance = True


class AuthFailed(Event, frozen=True, kw_only=True, tag="gateway.auth_failed"):
    """A request without a good key. `reason`: missing, unknown, revoked, expired, conflicting."""

    reason: str
    path: str = ""
    key_prefix: str = ""

    is_compliance = True


class LimitExceeded(Event, frozen=True, kw_only=True, tag="gateway.limit_exceeded"):
    """A limit of the gateway's own refused a request."""

    limit: str
    path: str = ""

    is_compliance = True


class ConfigChanged(Event, frozen=True, kw_only=True, tag="config.changed"):
    """The running configuration was replaced; `changed` lists dotted setting paths, never values."""

    generation: int
    changed: tuple[str, ...] = ()

    is_compliance = True


class AdminActed(Event, frozen=True, kw_only=True, tag="admin.acted"):
    """Somebody used the admin plane or the CLI to change something."""

    action: str
    target: str = ""
    actor: str = ""

    is_compliance = True
