"""Turns the installed genai-prices into the data file that workers read: `python -m metis.catalog.compile_prices`.

The one place that imports genai_prices, which costs 0.4 s and 28 MB (pydantic, httpx) and so may never
be imported in a worker. Source of the semantics: that package's types.py.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, time
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from metis.catalog.corrections import (
    CORRECTIONS,
    add_claude_long_writes,
    correct,
    price_free_variants,
)
from metis.catalog.price_data import (
    DATA_FILE,
    FORMAT,
    Amount,
    ModelEntry,
    Period,
    ProviderEntry,
    Stamp,
    Variant,
)

PACKAGE: Final = "genai-prices"

# The package's prices from OpenRouter went through binary fractions (0.18000000000000002). A price cut to
# 1e-12 USD per million tokens is off by less than a nano-dollar in 10^9 tokens.
_FINEST: Final = Decimal("1e-12")


def installed_version() -> str | None:
    """The version of genai-prices in this environment, without importing it; None when there is none.

    Read from the name of the folder that installers leave beside a package: importlib.metadata would
    cost every worker 30 ms of imports for it.
    """
    spec = importlib.util.find_spec("genai_prices")
    if spec is None or spec.origin is None:
        return None
    folders = Path(spec.origin).parent.parent.glob("genai_prices-*.dist-info")
    versions = sorted(path.name.removesuffix(".dist-info").partition("-")[2] for path in folders)
    return versions[-1] if versions else None


def compile_prices() -> tuple[bytes, tuple[str, ...]]:
    """Compile the installed package: the data file, and complaints about corrections that no longer apply.

    Raises ImportError when genai-prices is not installed.
    """
    from genai_prices.data import providers

    entries = {provider.id: _provider(provider) for provider in providers}
    complaints = tuple(_apply_corrections(entries))
    for entry in entries.values():
        for model in entry.models:
            for period in (*model.periods, *(variant.period for variant in model.variants)):
                add_claude_long_writes(model.model_id, period.prices)
                price_free_variants(model.model_id, period.prices)
    stamp = Stamp(FORMAT, installed_version() or "")
    names = [
        (provider.id, _rule(provider.provider_match))
        for provider in providers
        if provider.provider_match is not None
    ]
    lines = (
        f"{_json(provider_id)}:{_json(_trimmed(entry))}" for provider_id, entry in entries.items()
    )
    head = f'{{"stamp":{_json(stamp)},\n"names":{_json(names)},\n"providers":{{\n'
    text = head + ",\n".join(lines) + "\n}}\n"
    return text.encode(), complaints


def _apply_corrections(entries: dict[str, ProviderEntry]) -> Iterable[str]:
    for correction in CORRECTIONS:
        provider = entries.get(correction.provider)
        models = provider.models if provider is not None else []
        model = next((one for one in models if one.model_id == correction.model_id), None)
        if model is None or not correct(correction, model.periods):
            yield (
                f"correction of {correction.provider}/{correction.model_id} no longer applies "
                f"({correction.why}); see {correction.source}"
            )


def _provider(provider: Any) -> ProviderEntry:
    return ProviderEntry(
        name=provider.name,
        stand_ins=list(provider.fallback_model_providers or ()),
        models=[_model(model) for model in provider.models],
    )


def _model(model: Any) -> ModelEntry:
    prices: list[Any] | Any = model.prices
    dated = cast("list[Any]", prices) if isinstance(prices, list) else None
    periods = (
        [_period(one.prices, one.constraint) for one in dated]
        if dated is not None
        else [_period(prices, None)]
    )
    return ModelEntry(
        model_id=model.id,
        match=_rule(model.match),
        periods=periods,
        name=model.name,
        context_window=model.context_window,
        deprecated=bool(model.deprecated),
        variants=[
            Variant(dict(variant.when), _period(variant.prices, variant.constraint))
            for variant in model.price_variants or ()
        ],
    )


def _period(prices: Any, constraint: Any) -> Period:
    found = cast("dict[str, Any]", vars(prices))
    amounts = {key: _amount(value) for key, value in found.items() if value is not None}
    match type(constraint).__name__:
        case "NoneType":
            return Period(amounts)
        case "StartDateConstraint":
            return Period(amounts, from_day=constraint.start_date.isoformat())
        case "TimeOfDateConstraint":
            from_s, until_s = map(_second, (constraint.start_time, constraint.end_time))
            return Period(amounts, from_s=from_s, until_s=until_s)
        case other:
            raise ValueError(f"genai-prices has a new kind of constraint: {other}")


def _second(moment: time) -> int:
    """The UTC second of the day; the package reads times without a zone as UTC."""
    if moment.tzinfo is not None:
        moment = datetime.combine(datetime(1970, 1, 1), moment).astimezone(UTC).time()
    return moment.hour * 3600 + moment.minute * 60 + moment.second


def _amount(value: Any) -> Amount:
    if isinstance(value, Decimal):
        return _decimal_text(value)
    return _decimal_text(value.base), [
        (tier.start, _decimal_text(tier.price)) for tier in value.tiers
    ]


def _decimal_text(value: Decimal) -> str:
    if value != (cut := value.quantize(_FINEST, ROUND_HALF_EVEN)):
        value = cut
    return format(value.normalize(), "f")


def _rule(clause: Any) -> list[Any]:
    match type(clause).__name__:
        case "ClauseEquals":
            return ["=", clause.equals.lower()]
        case "ClauseStartsWith":
            return ["^", clause.starts_with.lower()]
        case "ClauseEndsWith":
            return ["$", clause.ends_with.lower()]
        case "ClauseContains":
            return ["~", clause.contains.lower()]
        case "ClauseRegex":
            return ["*", clause.regex]
        case "ClauseOr":
            return ["|", [_rule(part) for part in clause.or_]]
        case "ClauseAnd":
            return ["&", [_rule(part) for part in clause.and_]]
        case other:
            raise ValueError(f"genai-prices has a new kind of match rule: {other}")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _trimmed(entry: ProviderEntry) -> list[Any]:
    """The entry as nested lists, without the default values at their ends."""
    *head, models = msgspec.structs.astuple(entry)
    return [*head, [_trim_model(model) for model in models]]


def _trim_model(model: ModelEntry) -> list[Any]:
    periods = [
        _trim(msgspec.structs.astuple(period), (None, None, None)) for period in model.periods
    ]
    variants = [
        [variant.when, _trim(msgspec.structs.astuple(variant.period), (None, None, None))]
        for variant in model.variants
    ]
    fields = (model.model_id, model.match, periods)
    tail = (model.name, model.context_window, model.deprecated, variants)
    return _trim((*fields, *tail), (None, None, False, []))


def _trim(values: tuple[Any, ...], defaults: tuple[Any, ...]) -> list[Any]:
    kept, rest = list(values), list(defaults)
    while rest and kept[-1] == rest[-1]:
        kept.pop()
        rest.pop()
    return kept


def main() -> int:
    """Write the shipped data file; 1 when a correction has lost its ground."""
    data, complaints = compile_prices()
    path = Path(__file__).with_name("data") / DATA_FILE
    path.write_bytes(data)
    sys.stderr.write(f"{path}: {len(data)} bytes from {PACKAGE} {installed_version()}\n")
    for complaint in complaints:
        sys.stderr.write(complaint + "\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
