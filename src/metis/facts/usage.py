"""What a call used, in one neutral form, and how sure we are of it. Prices do not live here."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class UsageSource(StrEnum):
    """How a call's usage is known. Totals show the three apart."""

    REPORTED = "reported"  # the upstream said so
    ESTIMATED = "estimated"  # an aborted stream that never told
    UNKNOWN = "unknown"  # no usage and nothing to estimate from


class PaidBy(StrEnum):
    """Whose credential paid. `client` turns stand outside spend totals."""

    GATEWAY = "gateway"
    CLIENT = "client"


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Tokens of one upstream call.

    `input_tokens` counts fresh input only: cache reads and writes are beside it, never inside it
    (OpenAI reports them inside `prompt_tokens`; its codec subtracts). `output_tokens` includes
    `reasoning_tokens`; `input_tokens` includes `input_audio_tokens` and `output_tokens` includes
    `output_audio_tokens`. `server_tools` counts billed server-side tool requests by name
    (`web_search_requests`).
    """

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    server_tools: dict[str, int] = {}

    @property
    def cache_write_tokens(self) -> int:
        return self.cache_write_5m_tokens + self.cache_write_1h_tokens

    @property
    def prompt_tokens(self) -> int:
        """All input the model read: fresh, cached and written."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.output_tokens
