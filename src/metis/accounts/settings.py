"""The `[accounts]` table of metis.toml: what keys may do. Values only."""

from __future__ import annotations

from decimal import Decimal

import msgspec


class AccountsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`most_open_usd`: what the calls under way with one key may cost together, at their dearest; None: anything.

    Write it as a string to be safe from binary fractions.
    """

    most_open_usd: Decimal | None = None

    def __post_init__(self) -> None:
        if self.most_open_usd is not None and not self.most_open_usd > 0:
            raise ValueError("most_open_usd must be above 0")
