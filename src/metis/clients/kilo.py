"""Kilo Code's CLI, a fork of OpenCode. Seen: 7.7.7."""

from __future__ import annotations

from typing import Final

from metis.clients.client import Client, Fields, Gateway, Headers, Launch, Recipe
from metis.clients.opencode import connect_file, launch_content, read_session
from metis.facts.identity import SessionFacts


def _session(headers: Headers, fields: Fields, path: str) -> SessionFacts:
    return read_session("kilo", headers, fields)


def _connect(gateway: Gateway) -> Recipe:
    directory = gateway.directory("XDG_CONFIG_HOME", ".config")
    return connect_file(gateway, f"{directory}/kilo/kilo.json", "Kilo")


def _launch(gateway: Gateway) -> Launch:
    return launch_content(gateway, "KILO_CONFIG_CONTENT")


KILO: Final = Client(
    name="kilo",
    title="Kilo Code",
    session=_session,
    agents=(b"kilo",),
    commands=("kilo", "kilocode"),
    connect=_connect,
    launch=_launch,
)
