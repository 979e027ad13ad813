"""Nano-dollars as people and JSON read them, exactly. Prices and sums do not live here."""

from __future__ import annotations

from typing import Any, Final

NANO: Final = 1_000_000_000
_SUFFIX: Final = "_nano_usd"


def usd(nano_usd: int) -> str:
    """Write nano-dollars as an exact decimal number of dollars: 1_500_000_000 is "1.5", 0 is "0"."""
    whole, fraction = divmod(abs(nano_usd), NANO)
    text = f"{whole}.{fraction:09d}".rstrip("0").rstrip(".")
    return f"-{text}" if nano_usd < 0 else text


def display(nano_usd: int) -> str:
    """Write nano-dollars for the eye: at least cents, never rounded: "$0.00", "$1.50", "-$0.000123"."""
    whole, fraction = divmod(abs(nano_usd), NANO)
    digits = f"{fraction:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nano_usd < 0 else ''}${whole:,}.{digits}"


def rounded(nano_usd: int) -> str:
    """Write nano-dollars to four decimals, for tables where a column must stay narrow; "<$0.0001" for less."""
    if 0 < abs(nano_usd) < 50_000:
        return "<$0.0001" if nano_usd > 0 else ">-$0.0001"
    units = (abs(nano_usd) + 50_000) // 100_000
    whole, fraction = divmod(units, 10_000)
    return f"{'-' if nano_usd < 0 else ''}${whole:,}.{fraction:04d}"


def with_dollars(value: Any) -> Any:
    """Put an exact `x_usd` string beside every `x_nano_usd` integer of a JSON-like value, at any depth."""
    if isinstance(value, list | tuple):
        return [with_dollars(item) for item in value]  # pyright: ignore[reportUnknownVariableType] -- any JSON
    if not isinstance(value, dict):
        return value
    found: dict[Any, Any] = {}
    for name, item in value.items():  # pyright: ignore[reportUnknownVariableType] -- any JSON
        found[name] = with_dollars(item)
        if isinstance(name, str) and name.endswith(_SUFFIX):
            found[name.removesuffix("nano_usd") + "usd"] = None if item is None else usd(item)  # pyright: ignore[reportUnknownArgumentType] -- any JSON
    return found
