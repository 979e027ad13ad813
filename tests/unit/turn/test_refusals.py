"""What clients are told when an upstream call breaks: agents tell by the words whether to try again."""

from __future__ import annotations

import re

from metis.facts.failure import CallFailure, FailureCause, FailureClass
from metis.ir.response import ErrorInfo
from metis.turn.refusals import of_failure
from metis.turn.relay import CUT

# What agents look for in an error's message: OpenCode 1.18 and pi 0.73, then Continue 1.5.
RETRIED = re.compile(r"connection.?(?:error|refused|lost)|\bresponse timeout\b")
RETRIED_BY_CONTINUE = re.compile(r"premature close|connection reset|socket hang up")


def test_a_cut_answer_is_told_in_words_that_agents_retry_on() -> None:
    failure = CallFailure(
        FailureClass.NETWORK, FailureCause.CUT, "closed inside its answer", sent=True
    )
    assert of_failure(failure, "openai") == ErrorInfo(
        status=502,
        kind="api",
        message="connection lost (premature close): openai closed inside its answer; send the request again",
    )


def test_what_breaks_a_stream_off_is_worded_for_every_agent_that_looks() -> None:
    broken = CallFailure(FailureClass.NETWORK, FailureCause.CUT, "closed", sent=True)
    for message in (CUT.message, of_failure(broken, "openai").message):
        assert RETRIED.search(message)
        assert RETRIED_BY_CONTINUE.search(message)
    silent = CallFailure(FailureClass.TIMEOUT, FailureCause.IDLE_TIMEOUT, "silent", sent=True)
    assert RETRIED.search(of_failure(silent, "openai").message)
