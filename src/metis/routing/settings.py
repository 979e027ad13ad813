"""The `[routing]` table of metis.toml. Values only."""

from __future__ import annotations

import msgspec


class ProjectRouting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A project's default model (slot `workspace`). `force`: also where the client named another."""

    default: str
    force: bool = False


class RoutingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The installation's default model (slot `global`), and the projects'.

    `default` serves requests whose model is absent, unknown or `auto`; with `force = true` all.
    """

    default: str | None = None
    force: bool = False
    projects: dict[str, ProjectRouting] = {}
