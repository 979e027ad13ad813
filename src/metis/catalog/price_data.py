"""The compiled price data: its structs, reading it, and finding a model in it. Arithmetic lives in `rates`.

The file is one JSON object, one line per provider, so that a change of prices is a readable diff.
Providers stay undecoded until they are asked for: a worker that talks to two of 47 decodes two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

FORMAT: Final = 1
DATA_FILE: Final = "prices.json"

Amount = str | tuple[str, list[tuple[int, str]]]
"""USD as decimal text, or (base, [(over so many prompt tokens, USD)]), ascending."""


class Stamp(msgspec.Struct, frozen=True, array_like=True):
    """What a data file was compiled from: `format` is ours, `genai_prices` that package's version."""

    format: int
    genai_prices: str


class Period(msgspec.Struct, frozen=True, array_like=True):
    """When prices hold: from a UTC day on, or daily from a time to a time (UTC seconds of the day)."""

    prices: dict[str, Amount]
    from_day: str | None = None
    from_s: int | None = None
    until_s: int | None = None

    def active(self, at_s: float) -> bool:
        if self.from_day is not None:
            return at_s >= day_start(self.from_day)
        if self.from_s is not None and self.until_s is not None:
            second = at_s % 86_400
            if self.until_s < self.from_s:
                return second >= self.from_s or second < self.until_s
            return self.from_s <= second < self.until_s
        return True


class Variant(msgspec.Struct, frozen=True, array_like=True):
    """Prices that replace the standard ones where the request's context says so (`service_tier: flex`)."""

    when: dict[str, str]
    period: Period


class ModelEntry(msgspec.Struct, frozen=True, array_like=True):
    """One model of one price list. `match` is a rule as `matches` reads it; periods: the last active holds."""

    model_id: str
    match: Any
    periods: list[Period]
    name: str | None = None
    context_window: int | None = None
    deprecated: bool = False
    variants: list[Variant] = []


class ProviderEntry(msgspec.Struct, frozen=True, array_like=True):
    """A price list: whose it is, whose lists stand in where it has no model, its models."""

    name: str
    stand_ins: list[str]
    models: list[ModelEntry]


class _File(msgspec.Struct):
    stamp: Stamp
    names: list[tuple[str, Any]]
    providers: dict[str, msgspec.Raw]


_PROVIDER_DECODER: Final = msgspec.json.Decoder(ProviderEntry)
_FILE_DECODER: Final = msgspec.json.Decoder(_File)
_COMPACT_DAY: Final = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


class PriceData:
    """All price lists of one data file; cheap until a provider is asked for."""

    __slots__ = ("_decoded", "_names", "_raw", "stamp")

    def __init__(self, data: bytes) -> None:
        """Raise msgspec.DecodeError on what is no price data."""
        file = _FILE_DECODER.decode(data)
        self.stamp = file.stamp
        self._names = file.names
        self._raw = file.providers
        self._decoded: dict[str, ProviderEntry] = {}

    @property
    def provider_ids(self) -> tuple[str, ...]:
        return tuple(self._raw)

    def provider_id(self, name: str) -> str | None:
        """The id of the list that a provider's name means (`vertex`: google, `xai`: x-ai); None for none."""
        lowered = name.lower().strip()
        if lowered in self._raw:
            return lowered
        return next((one for one, rule in self._names if matches(rule, lowered)), None)

    def provider(self, provider_id: str) -> ProviderEntry | None:
        """The price list of that very id."""
        found = self._decoded.get(provider_id)
        if found is None and provider_id in self._raw:
            found = self._decoded[provider_id] = _PROVIDER_DECODER.decode(self._raw[provider_id])
        return found

    def find(self, provider_id: str, model: str) -> ModelEntry | None:
        """The entry of `model`, spelled as a provider may spell it; None when no list knows it.

        Own entries first, then those of the lists that stand in (Azure: OpenAI's, Anthropic's, ...); a
        compact date (`gpt-5.2-20251211`) is tried as a dashed one when nothing matches as it is.
        """
        provider = self.provider(provider_id)
        if provider is None:
            return None
        lowered = model.lower()
        dashed = _COMPACT_DAY.sub(r"-\1-\2-\3", lowered)
        for spelling in dict.fromkeys((lowered, dashed)):
            for entry in self._candidates(provider):
                if matches(entry.match, spelling):
                    return entry
        return None

    def _candidates(self, provider: ProviderEntry) -> Iterator[ModelEntry]:
        yield from provider.models
        for other_id in provider.stand_ins:
            other = self.provider(other_id)
            if other is not None:
                yield from other.models


def matches(rule: Any, text: str) -> bool:
    """Evaluate a compiled rule, `[operator, operand]`, on lower-case text.

    `=` is, `^` begins with, `$` ends with, `~` contains, `*` regular expression found in,
    `|` any of, `&` all of. Operands were lower-cased when compiled, but for regular expressions.
    """
    operator, operand = rule
    match operator:
        case "=":
            return text == operand
        case "^":
            return text.startswith(operand)
        case "$":
            return text.endswith(operand)
        case "~":
            return operand in text
        case "*":
            return _pattern(operand).search(text) is not None
        case "|":
            return any(matches(part, text) for part in operand)
        case "&":
            return all(matches(part, text) for part in operand)
        case _:
            raise ValueError(f"unknown rule operator {operator!r}")


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


@lru_cache(maxsize=512)
def day_start(day: str) -> int:
    """Epoch seconds at which a UTC day (`2026-03-13`) begins."""
    found = date.fromisoformat(day)
    return int(datetime(found.year, found.month, found.day, tzinfo=UTC).timestamp())


def shipped_data() -> bytes:
    """The data file that came with Metis."""
    return Path(__file__).with_name("data").joinpath(DATA_FILE).read_bytes()


def read_file(path: Path) -> PriceData | None:
    """A data file compiled earlier; None when it is absent, broken or of another format."""
    try:
        data = PriceData(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
    return data if data.stamp.format == FORMAT else None
