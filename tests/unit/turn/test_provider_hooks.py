"""Edits that a kind of provider asks for: spliced into the body, and each one noted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import msgspec
import pytest

from metis.errors import BadRequest
from metis.providers import kind_named
from metis.providers.provider import FieldEdit, Provider, ProviderKind, build_provider
from metis.providers.settings import ProviderSettings
from metis.trace.events.turn import FidelityNote
from metis.turn.outbound import with_edits
from metis.turn.state import Outbound
from metis.wire.splice import Fields

BODY = b'{ "b" : 1,\n "a":[1, 2] , "model":"m"}'
NOTE = FidelityNote("edited", "$.model", "the routed model's name")
HEADERS = {b"anthropic-beta": b"x"}
OUTBOUND = Outbound(body=BODY, shape=None, path=b"/x", notes=(NOTE,))


def kind() -> ProviderKind:
    found = kind_named("openai")
    assert found is not None
    return found


def provider(changed: ProviderKind) -> Provider:
    return build_provider("mine", changed, ProviderSettings(), None)


def test_a_kind_without_edits_leaves_the_request_alone() -> None:
    assert with_edits(OUTBOUND, provider(kind()), "generate", HEADERS) is OUTBOUND


def test_a_request_that_needs_no_edit_stays_the_same() -> None:
    nothing = replace(kind(), edits=lambda provider, operation, fields, headers: ())
    assert with_edits(OUTBOUND, provider(nothing), "generate", HEADERS) is OUTBOUND


def test_edits_are_spliced_into_the_body_and_noted() -> None:
    def edits(
        provider: Provider, operation: str, fields: Fields, headers: Mapping[bytes, bytes]
    ) -> tuple[FieldEdit, ...]:
        assert headers is HEADERS
        assert (provider.name, operation, bytes(fields["a"])) == ("mine", "generate", b"[1, 2]")
        return FieldEdit("a", b"[3]", "because"), FieldEdit("c", b"true", "and so on")

    assert with_edits(
        OUTBOUND, provider(replace(kind(), edits=edits)), "generate", HEADERS
    ) == msgspec.structs.replace(
        OUTBOUND,
        body=b'{ "b" : 1,\n "a":[3] , "model":"m","c":true}',
        notes=(
            NOTE,
            FidelityNote("edited", "$.a", "because"),
            FidelityNote("edited", "$.c", "and so on"),
        ),
    )


def test_a_refusal_is_passed_on() -> None:
    def edits(
        provider: Provider, operation: str, fields: Fields, headers: Mapping[bytes, bytes]
    ) -> tuple[FieldEdit, ...]:
        raise BadRequest("not here")

    with pytest.raises(BadRequest, match="not here"):
        with_edits(OUTBOUND, provider(replace(kind(), edits=edits)), "generate", HEADERS)
