"""What goes wrong upstream, as both SDKs see it: their own exceptions, with status and the upstream's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest
from tests.e2e.stage import UPSTREAMS, Stage

Json = dict[str, Any]
CONFIG = """
[turn]
first_byte_timeout_s = 0.2
idle_timeout_s = 0.2
"""
WORDS = "the scripted upstream says no"
STATUSES = (400, 401, 403, 404, 413, 429, 500, 503, 529)
FAULTS = ("refused", "reset", "cut", "hang", "nonsense", "error_event", "no_terminator", "empty")
SCRIPT: list[Json] = [
    *(
        {
            "when": {"user": f"[status:{status}]"},
            "status": status,
            "text": WORDS,
            "headers": {"retry-after": "7"} if status == 429 else {},
        }
        for status in STATUSES
    ),
    *(
        {
            "when": {"user": f"[{fault}]"},
            "text": WORDS if fault == "error_event" else "some text in several pieces",
            "fault": fault,
        }
        for fault in FAULTS
    ),
    {
        "when": {"user": "[silence]"},
        "text": "some text in several pieces",
        "fault": "hang",
        "fault_after": 4,
    },
    {"when": {"user": "[flaky]"}, "status": 529, "headers": {"retry-after": "0"}},
    {"when": {"user": "[flaky]"}, "text": "there you are"},
]
CLIENTS = {
    "messages": "anthropic_messages",
    "chat": "openai_chat",
    "responses": "openai_responses",
}


@pytest.fixture(params=sorted(CLIENTS))
def client(request: pytest.FixtureRequest) -> str:
    return request.param


def ask(stage: Stage, client: str, model: str, text: str, *, stream: bool = False) -> Any:
    """The whole answer, or all of a stream's events."""
    asked: Any = {"model": model}
    if client == "responses":
        asked["input"] = text
        create: Callable[..., Any] = stage.openai.responses.create
    else:
        asked["messages"] = [{"role": "user", "content": text}]
        create = stage.openai.chat.completions.create
    if client == "messages":
        asked["max_tokens"] = 99
        create = stage.anthropic.messages.create
    return list(create(**asked, stream=True)) if stream else create(**asked)


def raised(stage: Stage, client: str, model: str, text: str, *, stream: bool = False) -> Any:
    base: Any = anthropic.APIError if client == "messages" else openai.APIError
    with pytest.raises(base) as caught:
        ask(stage, client, model, text, stream=stream)
    return caught.value


def kind_of(client: str, status: int) -> Any:
    """The exception an SDK has for a status."""
    sdk: Any = anthropic if client == "messages" else openai
    by_status = {
        400: sdk.BadRequestError,
        404: sdk.NotFoundError,
        413: sdk.APIStatusError,
        429: sdk.RateLimitError,
    }
    if client == "messages":
        own = anthropic._exceptions  # not all are exported
        by_status |= {
            413: own.RequestTooLargeError,
            503: own.ServiceUnavailableError,
            504: own.GatewayTimeoutError,
            529: own.OverloadedError,
        }
    return by_status.get(status, sdk.InternalServerError)


@pytest.mark.parametrize("status", [400, 404, 413, 429, 500, 503, 529])
def test_an_upstream_error_is_the_sdks_exception_with_the_upstreams_words(
    stage: Stage, client: str, upstream: str, status: int
) -> None:
    model = stage.model(upstream)
    error = raised(stage, client, model, f"[status:{status}]", stream=status % 2 == 1)
    assert type(error) is kind_of(client, status)
    assert error.status_code == status
    assert WORDS in error.message
    if status == 429:
        assert error.response.headers["retry-after"] == "7"
    elif status == 529:
        assert int(error.response.headers["retry-after"]) >= 1
    assert error.request_id
    row = stage.call(model)
    assert (row["outcome"], row["http_status"], row["cost_nano_usd"]) == ("error", status, 0)
    assert (row["shape"], row["upstream_shape"]) == (CLIENTS[client], UPSTREAMS[upstream])
    assert row["failure"] and row["error_type"]


@pytest.mark.parametrize("status", [401, 403])
def test_the_gateways_own_credential_is_not_the_clients_fault(
    stage: Stage, client: str, upstream: str, status: int
) -> None:
    model = stage.model(upstream)
    error = raised(stage, client, model, f"[status:{status}]")
    assert error.status_code == 502
    assert "metis doctor" in error.message
    row = stage.call(model)
    assert (row["outcome"], row["http_status"], row["failure"]) == ("error", status, "auth")


@pytest.mark.parametrize(
    ("fault", "status", "cause"),
    [
        ("refused", 502, "refused"),
        ("reset", 502, "reset"),
        ("hang", 504, "first_byte_timeout"),
        ("cut", 502, "cut"),
        ("nonsense", 502, "protocol"),
        ("empty", 502, "protocol"),
    ],
)
def test_an_upstream_that_fails_is_a_gateway_error_in_the_clients_shape(
    stage: Stage, client: str, upstream: str, fault: str, status: int, cause: str
) -> None:
    model = stage.model(upstream)
    error = raised(stage, client, model, f"[{fault}]")
    assert error.status_code == status
    assert type(error) is kind_of(client, status)
    assert f"{upstream} " in error.message
    row = stage.call(model)
    assert (row["outcome"], row["failure_cause"]) == ("error", cause)


@pytest.mark.parametrize(
    ("fault", "status", "cause"),
    [
        ("refused", 502, "refused"),
        ("reset", 502, "reset"),
        ("hang", 504, "first_byte_timeout"),
    ],
)
def test_a_stream_that_never_began_is_an_error_with_a_status(
    stage: Stage, client: str, upstream: str, fault: str, status: int, cause: str
) -> None:
    model = stage.model(upstream)
    error = raised(stage, client, model, f"[{fault}]", stream=True)
    assert error.status_code == status
    assert stage.call(model)["failure_cause"] == cause


def stream_failure(stage: Stage, client: str, model: str, text: str) -> str:
    """How a stream ended badly: the exception's words, or those of a `response.failed`."""
    if client != "responses":
        return str(raised(stage, client, model, text, stream=True).message)
    try:
        events = ask(stage, client, model, text, stream=True)
    except openai.APIError as error:
        return error.message
    last = events[-1]
    assert last.type == "response.failed"
    assert last.response.error is not None
    return last.response.error.message


@pytest.mark.parametrize(
    ("fault", "cause"), [("cut", "cut"), ("silence", "idle_timeout"), ("empty", "cut")]
)
def test_a_stream_that_breaks_off_ends_in_the_clients_own_error(
    stage: Stage, client: str, upstream: str, fault: str, cause: str
) -> None:
    model = stage.model(upstream)
    assert stream_failure(stage, client, model, f"[{fault}]")
    row = stage.call(model)
    assert (row["outcome"], row["failure_cause"]) == ("error", cause)
    assert row["http_status"] == 200


def test_nonsense_inside_a_stream_ends_it(stage: Stage, client: str, upstream: str) -> None:
    """A stream of the client's own shape is relayed as it is, nonsense included (its SDK stumbles over it)."""
    model = stage.model(upstream)
    if CLIENTS[client] == UPSTREAMS[upstream]:
        with pytest.raises((ValueError, openai.APIError, anthropic.APIError)):
            ask(stage, client, model, "[nonsense]", stream=True)
        cause = "cut"
    else:
        assert "nonsense" in stream_failure(stage, client, model, "[nonsense]")
        cause = "protocol"
    row = stage.call(model)
    assert (row["outcome"], row["failure_cause"]) == ("error", cause)


def test_an_error_inside_a_stream_keeps_the_upstreams_words(
    stage: Stage, client: str, upstream: str
) -> None:
    model = stage.model(upstream)
    assert WORDS in stream_failure(stage, client, model, "[error_event]")
    row = stage.call(model)
    assert (row["outcome"], row["http_status"]) == ("error", 200)
    # Responses has no code for an overload inside a stream that clients would retry.
    assert row["failure"] == ("upstream" if upstream == "r" else "overloaded")


def test_a_stream_without_its_terminator_is_finished_where_its_end_was_told(
    stage: Stage, client: str, upstream: str
) -> None:
    """Messages and chat tell the stop reason before the terminator; Responses tells it in the terminator."""
    model = stage.model(upstream)
    if upstream == "r":
        assert stream_failure(stage, client, model, "[no_terminator]")
        assert stage.call(model)["outcome"] == "error"
        return
    events = ask(stage, client, model, "[no_terminator]", stream=True)
    assert events
    row = stage.call(model)
    assert (row["outcome"], row["stop"]) == ("ok", "end_turn")


def test_a_model_nobody_serves_and_a_bad_key_are_the_sdks_own_errors(
    stage: Stage, client: str
) -> None:
    sdk: Any = anthropic if client == "messages" else openai
    error = raised(stage, client, "x" * 300, "hi")
    assert (type(error), error.status_code) == (sdk.BadRequestError, 400)
    stranger = Stage(stage.gateway)
    stranger.anthropic = stage.anthropic.copy(api_key="sk-metis-aaaaaaaa-" + "0" * 36)
    stranger.openai = stage.openai.copy(api_key="sk-metis-aaaaaaaa-" + "0" * 36)
    error = raised(stranger, client, "a/x", "hi")
    assert (type(error), error.status_code) == (sdk.AuthenticationError, 401)
    assert "metis keys" in error.message


def test_a_retry_of_the_sdk_succeeds_and_both_calls_are_in_the_ledger(stage: Stage) -> None:
    model = stage.model("a")
    client = stage.anthropic.with_options(max_retries=2)
    message = client.messages.create(
        model=model, max_tokens=99, messages=[{"role": "user", "content": "[flaky]"}]
    )
    assert message.content[0].type == "text"
    assert [row["http_status"] for row in stage.calls(model, 2)] == [529, 200]
