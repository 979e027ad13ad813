"""The `[accounts]` table of metis.toml: what keys may do. Values only."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

_MOST_USD: Final = 1_000_000_000


class AccountsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`most_open_usd`: what the calls under way with one key may cost together, at their dearest; None: anything.

    Write it as a string to be safe from binary fractions.
    """

    most_open_usd: Decimal | None = None

    def __post_init__(self) -> None:
        most = self.most_open_usd
        if most is not None and not (most.is_finite() and 0 < most <= _MOST_USD):
            raise ValueError(f"most_open_usd must be above 0 and at most {_MOST_USD:,}")
