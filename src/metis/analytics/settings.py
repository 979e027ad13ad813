"""The `[analytics]` table of metis.toml. Values only."""

from __future__ import annotations

import msgspec


class AnalyticsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What savings are measured against.

    `baseline_model` is the model that would have served everything, were there no routing; set it to
    the one your developers used before, or to "" for no comparison. It is pinned, so that last month's
    savings do not change with this month's default. claude-sonnet-5-5 stands there until you choose:
    the current mid-priced coding model ($2 in, $10 out); a dearer one would flatter the savings.
    `baseline_provider` is the price list it is looked up on.
    """

    baseline_model: str = "claude-sonnet-5-5"
    baseline_provider: str = "anthropic"
