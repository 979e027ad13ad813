"""What turns have in common that ask for the same under the same head, worked out once: a course, and its ways.

A client sends the same head again and again, and asks for the same model. Who asks, what is asked of routing, and
how a chosen provider is spoken to follow from that alone; so a course is kept with a head that is known to come
again, and taken anew when the configuration or the keys have changed. Nothing of one request's body but its model and
its wish for a stream is in it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, cast

import msgspec

from metis.catalog.names import AUTO_NAMES
from metis.errors import BadRequest, Forbidden
from metis.facts.decision import RouteDecision
from metis.facts.identity import SessionFacts
from metis.facts.usage import PaidBy
from metis.http.headers import HOP_BY_HOP, connection_options, encode_headers, safe_value
from metis.http.known_heads import RequestHead
from metis.providers.provider import Provider
from metis.routing.slot import Question
from metis.trace.events.groups import (
    CALL_KIND,
    TURN_KIND,
    WHOSE,
    CallRole,
    Packed,
    TurnOutcome,
)
from metis.turn.actions import Inbound
from metis.turn.engine import Engine
from metis.wire.splice import Fields, flag_field, text_field

_MAX_MODEL_NAME: Final = 256
# A client with a key can make heads, models and versions at will, so their product must stay small.
_MOST_COURSES: Final = 8  # of one head, and ways of one course
_MOST_KINDS: Final = 16  # of one way

# Never sent upstream: hop-by-hop, what describes the client's own connection or body framing, every
# gateway credential, and what would let an upstream answer in a coding nobody asked for.
_NEVER_SENT: Final = HOP_BY_HOP | frozenset(
    {
        b"host",
        b"content-length",
        b"content-encoding",
        b"content-type",
        b"accept-encoding",
        b"expect",
        b"authorization",
        b"x-api-key",
        b"api-key",
        b"x-goog-api-key",
        b"cookie",
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-real-ip",
    }
)
_CREDENTIALS: Final = frozenset({b"authorization", b"x-api-key"})
_OTHER_SHAPE: Final = {
    "anthropic_messages": (b"openai-",),
    "openai_chat": (b"anthropic-",),
    "openai_responses": (b"anthropic-",),
    "bedrock_converse": (b"anthropic-", b"openai-"),
    "google_generate_content": (b"anthropic-", b"openai-"),
}
# What a translated request says: this version still takes temperature and top_p, which the newer
# ones refuse (clients.md: "use 2023-06-01 when translating").
_TRANSLATED_HEADERS: Final = {"anthropic_messages": b"anthropic-version: 2023-06-01\r\n"}
# Every key of the gateway itself holds this: such a value never leaves.
KEY_MARK: Final = b"sk-metis-"


class Way:
    """How a course goes on once it is decided: the provider, and what every call to it says.

    `lines` are the request's header lines but for the first one, the body's type and its length; `told` is what the
    client is told of the decision. `shape_name` is the upstream's shape. `verbatim` is set where every body goes as
    it came: then to this path.
    """

    __slots__ = (
        "_course",
        "_kinds",
        "_turn_kinds",
        "crossed",
        "decision",
        "lines",
        "provider",
        "shape_name",
        "told",
        "verbatim",
    )

    def __init__(self, course: Course, decision: RouteDecision, provider: Provider) -> None:
        inbound = course.inbound
        self._course = course
        self._kinds: dict[CallRole, Packed] = {}
        self._turn_kinds: dict[tuple[object, ...], Packed] = {}
        self.decision = decision
        self.provider = provider
        self.crossed = inbound.operation == "generate" and inbound.shape not in provider.shapes
        self.shape_name = provider.shapes[0] if self.crossed else inbound.shape
        self.lines = _request_lines(inbound, provider, self.shape_name if self.crossed else "")
        self.told = _decision_lines(
            decision.provider,
            decision.model,
            decision.slot,
            decision.reason,
            course.engine.embedded,
        )
        self.verbatim = (
            provider.fixed_paths.get(inbound.shape)
            if inbound.operation == "generate"
            and not self.crossed
            and decision.model == course.model
            and provider.kind.edits is None
            and not (course.stream and inbound.shape == "openai_chat")  # may have to ask for usage
            else None
        )

    def kind(self, role: CallRole) -> Packed:
        """The CallKind of a call this way."""
        kind = self._kinds.get(role)
        if kind is None:
            course, inbound = self._course, self._course.inbound
            kind = self._kinds[role] = CALL_KIND.pack(
                role,
                self.provider.name,
                self.decision.model,
                course.named,
                inbound.operation,
                inbound.shape,
                self.shape_name,
                course.stream,
                PaidBy.CLIENT if inbound.client_credential else PaidBy.GATEWAY,
            )
        return kind

    def turn_kind(
        self, session: SessionFacts, outcome: TurnOutcome, http_status: int, attempts: int
    ) -> Packed:
        """The TurnKind of a turn that ended this way."""
        key = (
            outcome,
            http_status,
            attempts,
            session.auxiliary,
            session.request_class,
            session.client_version,
            session.source,
        )
        kind = self._turn_kinds.get(key)
        if kind is None:
            if len(self._turn_kinds) >= _MOST_KINDS:
                self._turn_kinds.clear()
            provider, model = self.provider.name, self.decision.model
            kind = self._turn_kinds[key] = self._course.turn_kind(provider, model, key)
        return kind


class Course:
    """What is asked: the model's name as the client spells it, whether a stream is wanted, routing's question.

    `inbound` is a request of this course, without its body. `named` is the model's name as the ledger has
    it: one that is too long or not printable is refused, and not written down as it came, since people read
    the ledger at terminals. `read_session` reads the client's words of itself.
    """

    __slots__ = (
        "_ways",
        "engine",
        "inbound",
        "model",
        "named",
        "question",
        "read_session",
        "retried",
        "stream",
    )

    def __init__(self, engine: Engine, inbound: Inbound, model: str, *, stream: bool) -> None:
        head = inbound.head
        self.engine = engine
        self.inbound = msgspec.structs.replace(inbound, body=b"")
        self.model = model
        self.named = _printable(model[:_MAX_MODEL_NAME])
        self.stream = stream
        self.read_session = engine.identify(head.named, head.path.decode("latin-1"))
        self.retried = head.named.get(b"x-stainless-retry-count", b"0") != b"0"
        self.question: Question | None = None
        self._ways: dict[int, Way] = {}

    def asked(self) -> Question:
        """What routing is asked. Raises BadRequest and Forbidden on what may not be asked."""
        question = self.question
        if question is None:
            question = self.question = _question(self.engine, self.inbound, self.model)
        return question

    def whose(self, said: SessionFacts) -> Packed:
        """The Whose of a turn in this session."""
        who = self.inbound.principal
        return WHOSE.pack(
            who.org_id,
            who.team_id,
            who.user_id,
            who.project_id,
            who.key_id,
            said.client,
            said.session_id,
            said.agent_id,
            said.parent_agent_id,
        )

    def turn_kind(self, provider: str, model: str, ended: tuple[object, ...]) -> Packed:
        """The TurnKind of a turn: who answered, and how it ended, from TurnKind's `outcome` on."""
        inbound = self.inbound
        asked = inbound.operation, inbound.shape, self.named
        return TURN_KIND.pack(*cast(Any, (*asked, provider, model, self.stream, *ended)))

    def way(self, decision: RouteDecision) -> Way:
        """The way that a decision means; decisions are few, and kept by their identity."""
        way = self._ways.get(id(decision))
        if way is None or way.decision is not decision:
            way = Way(self, decision, self.engine.providers[decision.provider])
            if len(self._ways) >= _MOST_COURSES:
                self._ways.clear()
            self._ways[id(decision)] = way
        return way


def course_of(engine: Engine, inbound: Inbound, fields: Fields) -> Course:
    """The course of a request. Raises CodecError when its model or its wish for a stream has a wrong type."""
    head = inbound.head
    model, stream = fields.get("model"), fields.get("stream")
    key = (model and bytes(model), stream and bytes(stream))
    courses = head.courses
    course = courses.get(key)
    if (
        isinstance(course, Course)
        and course.engine is engine
        and course.inbound.principal is inbound.principal
    ):
        return course
    course = Course(
        engine,
        inbound,
        text_field(fields, "model") or "",
        stream=flag_field(fields, "stream") is True,
    )
    if head.known and len(course.model) <= _MAX_MODEL_NAME:
        if len(courses) >= _MOST_COURSES:
            courses.clear()
        courses[key] = course
    return course


def _question(engine: Engine, inbound: Inbound, model: str) -> Question:
    named = inbound.head.named
    override = (
        named[b"x-metis-model"].decode("utf-8", "replace") if b"x-metis-model" in named else ""
    )
    _check_name(model, "the model's name")
    _check_name(override, "x-metis-model")
    who = inbound.principal
    pinned = who.pinned_model or ""
    # `auto` demands no model: it leaves the choice to the slots behind, whatever the body names.
    auto = (pinned or override or model) in AUTO_NAMES
    return Question(
        requested_model=model,
        wants_auto=auto,
        override_model="" if auto else override,
        pinned_model="" if auto else pinned,
        project_id=who.project_id,
        shape=inbound.shape,
        operation=inbound.operation,
        allowed_models=who.allowed_models,
        only_provider=_bound_provider(engine, inbound) if inbound.client_credential else "",
    )


def _check_name(name: str, what: str) -> None:
    if len(name) > _MAX_MODEL_NAME:
        raise BadRequest(f"{what} is over {_MAX_MODEL_NAME} characters")
    if not name.isprintable():
        raise BadRequest(
            f"{what} {_printable(name)!r} holds control or other characters that cannot be printed"
        )


def _printable(text: str) -> str:
    """The text with U+FFFD for each character that cannot be printed."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else "\ufffd" for one in text)


def _bound_provider(engine: Engine, inbound: Inbound) -> str:
    """The one provider a client's own credential may go to: its kind takes such, and speaks the shape.

    Raises Forbidden when there is none: the credential must not go anywhere else.
    """
    for provider in engine.providers.values():
        if provider.kind.accepts_client_credentials and inbound.shape in provider.shapes:
            return provider.name
    raise Forbidden(
        "no configured provider takes a client's own credential for this API; "
        "send the Metis key alone to use the gateway's"
    )


def _request_lines(inbound: Inbound, provider: Provider, target: str) -> bytes:
    """The client's headers as an open list, then ours, and the credential. `target` is the shape of a crossing."""
    return b"host: %b\r\n%b%b%b%baccept-encoding: identity\r\n" % (
        provider.host,
        _relayed_lines(
            inbound.head,
            provider.own_headers,
            (*_OTHER_SHAPE.get(target, ()), *provider.kind.unsent),
        ),
        b"" if provider.kind.unsent else _TRANSLATED_HEADERS.get(target, b""),
        provider.header_lines,
        _credential_lines(inbound, provider),
    )


def _relayed_lines(head: RequestHead, own: frozenset[bytes], foreign: tuple[bytes, ...]) -> bytes:
    """The client's header lines that go on; not those a provider has of its `own` or that are `foreign` to it."""
    dropped = _NEVER_SENT | own
    connection = head.named.get(b"connection")
    if connection is not None:
        dropped |= connection_options(connection)
    unwanted = (b"x-metis-", *foreign)
    return encode_headers(
        [
            (name, value)
            for name, value in head.headers
            if (lowered := name.lower()) not in dropped and not lowered.startswith(unwanted)
        ]
    )


def _credential_lines(inbound: Inbound, provider: Provider) -> bytes:
    if inbound.client_credential:
        return encode_headers(
            [
                (name, value)
                for name, value in inbound.head.headers
                if name.lower() in _CREDENTIALS and KEY_MARK not in value
            ]
        )
    if provider.credential is None:
        return b""
    return b"%b: %b\r\n" % provider.credential


@lru_cache(maxsize=4096)
def _decision_lines(provider: str, model: str, slot: str, reason: str, embedded: bool) -> bytes:
    """The decision as the client is told it; decisions repeat, so their lines are kept."""
    note = "; embedded model, no provider key is configured" if embedded else ""
    return encode_headers(
        (
            (b"x-metis-model", safe_value(f"{provider}/{model}")),
            (b"x-metis-route", safe_value(f"{slot}; {reason}{note}")),
        )
    )
