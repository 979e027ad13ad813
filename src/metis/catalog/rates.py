"""The arithmetic of prices: what a usage costs under one set of prices, exactly. Finding prices lives in `pricing`.

All sums are integers: every rate is a whole number of 1/scale nano-dollars per token, request or
search, with `scale` the power of ten that the finest price needs. A cost is rounded once, at the
end, half to even, to whole nano-dollars (1e-9 USD).

Which price a token has:

- fresh input, output: their own, else unknown
- cache read: its own, else as fresh input, for the provider publishes no discount
- cache write of 5 minutes (OpenAI: 30): its own, else as fresh input, for nothing extra is charged
- cache write of 1 hour (OpenAI: 12): its own, else as fresh input where short writes cost no more, else unknown
- reasoning: as output, but where the list prices it apart (Perplexity)
- audio in and out: their own, else unknown; the text price would be ten times too low
- web search, file search, ...: their own per thousand requests, else unknown
- web fetch: nothing, Anthropic bills its tokens only

An unknown part costs nothing in the sum and is named in `Cost.unknown_parts`. Tiers go by all prompt tokens
(fresh, read and written) and hold for the whole request, output included, from the first token on.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from metis.facts.usage import Usage

PER_MILLION: Final = 1_000_000
PER_THOUSAND: Final = 1_000
_NANO_USD: Final = 1_000_000_000

# Server tools by the name the ledger counts them under, and the price key they are billed by; "" is free.
# Container hours of code execution have no price per request: they stay unknown.
# Sources: https://platform.claude.com/docs/en/about-claude/pricing#tool-specific-pricing,
# https://developers.openai.com/api/docs/pricing#built-in-tools, https://docs.x.ai/docs/models#tools-pricing
_TOOL_PRICE_KEYS: Final = {
    "web_search_requests": "web_searches_kcount",
    "web_fetch_requests": "",
    "x_search_requests": "social_searches_kcount",
    "file_search_requests": "storage_searches_kcount",
    "code_execution_requests": "code_executions_kcount",
    "code_interpreter_requests": "code_executions_kcount",
}


class Cost(msgspec.Struct, frozen=True, gc=False):
    """What a call cost, in nano-dollars, and the kinds of its usage that have no price and are not in the sum."""

    nano_usd: int
    unknown_parts: tuple[str, ...] = ()


class PriceLine(msgspec.Struct, frozen=True):
    """One line of a bill: `units` (tokens or requests) at `unit_usd` per `per` units.

    `unit_usd` and `usd` are None where the price is unknown; `usd` is exact, not yet rounded.
    """

    what: str
    units: int
    per: int
    unit_usd: Decimal | None
    usd: Decimal | None


class Rates(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """1/scale nano-dollars per token (`request`: per request); None is unknown."""

    input: int | None = None
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    output: int | None = None
    reasoning: int | None = None
    input_audio: int | None = None
    output_audio: int | None = None
    request: int = 0
    tools: dict[str, int] = {}


TokenRates = tuple[int, int, int, int, int]
"""Fresh input, cache read, short write, long write (0: see the slow path), output."""


class ModelPrice(msgspec.Struct, frozen=True, kw_only=True):
    """The price of one model while nothing about it changes.

    `provider` and `model` name the list and its entry, `own` says that the configuration set it.
    `tiers` is ascending: (over so many prompt tokens, rates). Holds from `valid_from_s` until
    before `valid_until_s` (epoch seconds). `quick` is what the common usage needs of all that (see `_quick`).
    """

    provider: str
    model: str
    own: bool = False
    scale: int
    base: Rates
    tiers: tuple[tuple[int, Rates], ...] = ()
    valid_from_s: float = 0.0
    valid_until_s: float = float("inf")
    quick: tuple[tuple[int, TokenRates], ...] | None = None

    def cost(self, usage: Usage) -> Cost:
        """What `usage` costs: exact, rounded half to even once."""
        if (
            self.quick is None
            or usage.input_audio_tokens
            or usage.output_audio_tokens
            or usage.server_tools
        ):
            return self._cost_by_parts(usage)
        fresh, read = usage.input_tokens, usage.cache_read_tokens
        short, long = usage.cache_write_5m_tokens, usage.cache_write_1h_tokens
        tiers = self.quick
        rates = tiers[0][1]
        if len(tiers) > 1:
            prompt_tokens = fresh + read + short + long
            for over, tier in tiers:
                if prompt_tokens <= over:
                    break
                rates = tier
        amount = fresh * rates[0] + usage.output_tokens * rates[4]
        if read:
            amount += read * rates[1]
        if short:
            amount += short * rates[2]
        if long:
            if not rates[3]:
                return self._cost_by_parts(usage)
            amount += long * rates[3]
        scale = self.scale
        return Cost(amount if scale == 1 else _half_even(amount, scale))

    def most(self, input_tokens: int, output_tokens: int) -> int:
        """The most so many tokens of text can cost, in nano-dollars: all input at its dearest, in the dearest tier."""
        dearest = 0
        if self.quick is None:
            for rates in (self.base, *(tier for _, tier in self.tiers)):
                written = max(rates.cache_write_5m or 0, rates.cache_write_1h or 0)
                heard, spoken = rates.input_audio or 0, rates.output_audio or 0
                taken = max(rates.input or 0, rates.cache_read or 0, written, heard)
                made = max(rates.output or 0, rates.reasoning or 0, spoken)
                amount = input_tokens * taken + output_tokens * made + rates.request
                dearest = max(dearest, amount)
            return -(-dearest // self.scale)
        for _, (fresh, read, short, long, out) in self.quick:
            amount = input_tokens * max(fresh, read, short, long) + output_tokens * out
            dearest = max(dearest, amount)
        return -(-dearest // self.scale)

    def lines(self, usage: Usage) -> tuple[PriceLine, ...]:
        """The bill of `usage`, one line per kind that occurs; the lines' `usd` sum to the unrounded cost."""
        return tuple(
            PriceLine(
                what,
                units,
                per,
                None if rate is None else Decimal(rate * per) / (self.scale * _NANO_USD),
                None if rate is None else Decimal(rate * units) / (self.scale * _NANO_USD),
            )
            for what, units, per, rate in _parts(usage, self.rates_for(usage))
        )

    def rates_for(self, usage: Usage) -> Rates:
        """The rates of the tier that the prompt's size falls into."""
        rates = self.base
        prompt_tokens = usage.prompt_tokens
        for over, tier in self.tiers:
            if prompt_tokens <= over:
                break
            rates = tier
        return rates

    def _cost_by_parts(self, usage: Usage) -> Cost:
        amount = 0
        unknown: list[str] = []
        for what, units, _, rate in _parts(usage, self.rates_for(usage)):
            if rate is None:
                unknown.append(what)
            else:
                amount += units * rate
        return Cost(_half_even(amount, self.scale), tuple(unknown))


def _parts(usage: Usage, rates: Rates) -> list[tuple[str, int, int, int | None]]:
    """(kind, units, per, rate) of every kind that occurs; every token is in exactly one."""
    reasoning = usage.reasoning_tokens if rates.reasoning is not None else 0
    tokens = (
        ("input", usage.input_tokens - usage.input_audio_tokens, rates.input),
        ("input_audio", usage.input_audio_tokens, rates.input_audio),
        ("cache_read", usage.cache_read_tokens, rates.cache_read),
        ("cache_write_5m", usage.cache_write_5m_tokens, rates.cache_write_5m),
        ("cache_write_1h", usage.cache_write_1h_tokens, rates.cache_write_1h),
        ("output", usage.output_tokens - usage.output_audio_tokens - reasoning, rates.output),
        ("reasoning", reasoning, rates.reasoning),
        ("output_audio", usage.output_audio_tokens, rates.output_audio),
    )
    parts = [(what, units, PER_MILLION, rate) for what, units, rate in tokens if units]
    if rates.request:
        parts.append(("request", 1, PER_THOUSAND, rates.request))
    for name, count in usage.server_tools.items():
        key = _TOOL_PRICE_KEYS.get(name)
        rate = 0 if key == "" else rates.tools.get(key) if key is not None else None
        if count:
            parts.append((name, count, PER_THOUSAND, rate))
    return parts


def _half_even(amount: int, scale: int) -> int:
    quotient, rest = divmod(amount, scale)
    twice = 2 * rest
    return quotient + (twice > scale or (twice == scale and quotient & 1))


Steps = tuple[Decimal, tuple[tuple[int, Decimal], ...]]
"""A price in USD and what it becomes over so many prompt tokens."""


def model_price(
    provider: str,
    model: str,
    prices: Mapping[str, Steps],
    *,
    own: bool = False,
    window: tuple[float, float] = (0.0, float("inf")),
) -> ModelPrice:
    """Compile prices (USD by genai-prices' keys: `input_mtok`, `web_searches_kcount`, ...) into rates.

    Keys that no usage has a count for (hours, pixels, pages, images) are left out.
    """
    scale = _scale(prices)
    starts = sorted({start for _, steps in prices.values() for start, _ in steps})
    base = _rates({key: _at(steps, -1) for key, steps in prices.items()}, scale)
    tiers = tuple(
        (start, _rates({key: _at(steps, start) for key, steps in prices.items()}, scale))
        for start in starts
    )
    return ModelPrice(
        provider=provider,
        model=model,
        own=own,
        scale=scale,
        base=base,
        tiers=tiers,
        valid_from_s=window[0],
        valid_until_s=window[1],
        quick=_quick(((-1, base), *tiers)),
    )


def _at(steps: Steps, start: int) -> Decimal:
    """The price once the tier that begins at `start` holds."""
    price, later = steps
    for over, dearer in later:
        if over <= start:
            price = dearer
    return price


def _scale(prices: Mapping[str, Steps]) -> int:
    """The power of ten that makes every price whole in nano-dollars per token (or request)."""
    digits = 0
    for first, steps in prices.values():
        for price in (first, *(later for _, later in steps)):
            exponent = price.normalize().as_tuple().exponent
            assert isinstance(exponent, int), "infinite prices are refused where they are read"
            digits = max(digits, -exponent)
    # A million tokens at 1 USD are 1,000 nano-dollars each: three digits come for free.
    return 10 ** max(0, digits - 3)


def _rates(prices: Mapping[str, Decimal], scale: int) -> Rates:
    def per_token(key: str) -> int | None:
        price = prices.get(key)
        return None if price is None else int(price * (_NANO_USD // PER_MILLION) * scale)

    def per_request(key: str) -> int:
        return int(prices.get(key, Decimal(0)) * (_NANO_USD // PER_THOUSAND) * scale)

    fresh = per_token("input_mtok")
    short = per_token("cache_write_5m_mtok")
    if short is None:
        short = per_token("cache_write_mtok")
    if short is None:
        short = fresh
    long = per_token("cache_write_1h_mtok")
    if long is None and short == fresh:
        long = short
    read = per_token("cache_read_mtok")
    return Rates(
        input=fresh,
        cache_read=fresh if read is None else read,
        cache_write_5m=short,
        cache_write_1h=long,
        output=per_token("output_mtok"),
        reasoning=per_token("output_reasoning_mtok"),
        input_audio=per_token("input_audio_mtok"),
        output_audio=per_token("output_audio_mtok"),
        request=per_request("requests_kcount"),
        tools={
            key: per_request(key) for key in {*_TOOL_PRICE_KEYS.values()} if key in prices and key
        },
    )


def _quick(tiers: tuple[tuple[int, Rates], ...]) -> tuple[tuple[int, TokenRates], ...] | None:
    """The rates of text alone, when fresh input and output have a price and nothing is billed beside tokens."""
    quick: list[tuple[int, TokenRates]] = []
    for over, rates in tiers:
        read, short = rates.cache_read, rates.cache_write_5m
        if rates.input is None or rates.output is None or read is None or short is None:
            return None
        if rates.reasoning is not None or rates.request:
            return None
        quick.append((over, (rates.input, read, short, rates.cache_write_1h or 0, rates.output)))
    return tuple(quick)
