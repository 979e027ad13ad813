"""Which other paths of a provider may be relayed: off by default, then by an allow-list of method and path.

Only paths that can be read in one way are looked at: no `..`, no doubled or encoded slashes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from metis.errors import Forbidden, NotFound
from metis.gateway.settings import RelaySettings

# Segments of unreserved characters and few others: nothing an upstream could decode into a slash or a dot segment.
_PLAIN = re.compile(rb"(?:/[A-Za-z0-9_~:@!$&'()*+,;=-][A-Za-z0-9._~:@!$&'()*+,;=-]*)+")


class RelayPath(NamedTuple):
    """A path to relay: the provider's name and the path as the provider knows it."""

    provider: str
    path: bytes


def is_relay(path: bytes, settings: dict[str, RelaySettings]) -> bool:
    """Whether the path stands below a configured relay's name."""
    return bool(settings) and path[1:].partition(b"/")[0].decode("latin-1") in settings


def relay_path(method: bytes, path: bytes, settings: dict[str, RelaySettings]) -> RelayPath:
    """Where the request goes.

    Raises NotFound for paths that cannot be read in one way, Forbidden for those not on the list.
    """
    name, _, rest = path[1:].partition(b"/")
    wanted = b"/" + rest
    if _PLAIN.fullmatch(wanted) is None:
        raise NotFound("this path cannot be relayed: it must be plain, without '..' or escapes")
    settings_of = settings[name.decode("latin-1")]
    text = wanted.decode("ascii")
    if any(_allows(entry, method.decode("latin-1"), text) for entry in settings_of.allow):
        return RelayPath(settings_of.provider, wanted)
    raise Forbidden(
        f"{method.decode('latin-1')} {text[:200]} is not on the allow-list of "
        f"[gateway.relay.{name.decode('latin-1')}] in metis.toml"
    )


def _allows(entry: str, method: str, path: str) -> bool:
    allowed_method, _, allowed_path = entry.partition(" ")
    if method != allowed_method.upper():
        return False
    if allowed_path.endswith("/*"):
        parent, _, last = path.rpartition("/")
        return parent == allowed_path[:-2] and bool(last)
    return path == allowed_path
