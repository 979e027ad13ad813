"""What clients are told when an upstream call breaks: agents tell by the words whether to try again."""

from __future__ import annotations

import re

import pytest

from metis.facts.failure import CallFailure, FailureCause, FailureClass
from metis.ir.response import ErrorInfo
from metis.turn.refusals import of_failure
from metis.turn.relay import CUT

# What OpenCode 1.18 and pi 0.73 look for in an error's message, as far as both know it.
RETRIED = re.compile(r"connection.?(?:error|refused|lost)|\bresponse timeout\b", re.IGNORECASE)


def test_a_cut_answer_is_told_in_words_that_agents_retry_on() -> None:
    failure = CallFailure(
        FailureClass.NETWORK, FailureCause.CUT, "closed inside its answer", sent=True
    )
    assert of_failure(failure, "openai") == ErrorInfo(
        status=502,
        kind="api",
        message="connection lost: openai closed inside its answer; send the request again",
    )


@pytest.mark.parametrize(
    "message",
    [
        CUT.message,
        of_failure(
            CallFailure(FailureClass.NETWORK, FailureCause.CUT, "closed", sent=True), "openai"
        ).message,
        of_failure(
            CallFailure(FailureClass.TIMEOUT, FailureCause.IDLE_TIMEOUT, "silent", sent=True),
            "openai",
        ).message,
    ],
)
def test_what_may_break_a_stream_off_is_worded_so(message: str) -> None:
    assert RETRIED.search(message)
