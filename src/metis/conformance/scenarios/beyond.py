"""Reported defects that the wire of one running gateway cannot show, named so that nobody takes them for tried."""

from __future__ import annotations

from typing import Final

from metis.conformance.scenario import Scenario, beyond_the_wire


def _named(name: str, title: str, reason: str, *issues: str) -> Scenario:
    return Scenario(name, title, "beyond the wire", beyond_the_wire(reason), issues)


BEYOND: Final = (
    _named(
        "spend-of-aborted",
        "A stream that a client left is in the spend log with what it used",
        "needs the target's own spend records",
        "LiteLLM #35958",
        "LiteLLM PR #36008",
    ),
    _named(
        "cyclic-fallback",
        "Fallbacks that point at each other end",
        "needs a target configured with a cycle of fallbacks",
        "LiteLLM #23546",
        "LiteLLM PR #36148",
    ),
    _named(
        "cost-of-stream",
        "A stream costs what the whole answer costs",
        "needs the target's own cost records; the usage it tells is judged by usage-stream-as-whole",
        "LiteLLM #11789",
        "LiteLLM #36083",
    ),
    _named(
        "cost-of-iterations",
        "Runs of server tools are priced as the sum of their iterations",
        "needs the target's own cost records; the usage it tells is judged by usage-details",
        "LiteLLM #42663",
    ),
    _named(
        "cost-of-cache-writes",
        "Cache writes are billed once",
        "needs the target's own cost records",
        "Bifrost #3451",
    ),
    _named(
        "find-by-response-id",
        "The id a client received finds the call in the spend log",
        "needs the target's own spend records; that the id is kept is judged by response-id",
        "LiteLLM #28562",
    ),
    _named(
        "net-savings",
        "Savings count what the router itself cost",
        "needs the target's own savings report",
        "LiteLLM #38816",
    ),
    _named(
        "budget-under-parallel-load",
        "Parallel requests do not overspend a budget",
        "needs budgets over time; not on the wire",
        "LiteLLM #26672",
        "LiteLLM #34732",
    ),
    _named(
        "false-budget-exceeded",
        "A budget that is not used up does not refuse",
        "needs budgets over time; not on the wire",
        "LiteLLM #36926",
        "LiteLLM #27735",
    ),
    _named(
        "limit-across-replicas",
        "A limit holds across replicas",
        "needs several replicas of the target",
        "LiteLLM #40291",
    ),
    _named(
        "budget-across-replicas",
        "A budget holds across replicas, on passthrough too, and unknown fields are refused",
        "needs several replicas and a budget",
        "Bifrost #3547",
        "Bifrost #2873",
        "Bifrost #5673",
    ),
    _named(
        "memory-over-days",
        "Memory does not grow over days",
        "needs a day's soak and the target's memory, which cannot be seen from outside",
        "LiteLLM #12685",
        "LiteLLM #25219",
        "LiteLLM #27954",
    ),
    _named(
        "retention",
        "Old records are removed and their disk comes back",
        "needs the target's own database over weeks",
        "LiteLLM #21908",
        "LiteLLM #29342",
        "LiteLLM PR #29466",
    ),
    _named(
        "client-cache-expiry",
        "Nothing fails when cached connections expire after an hour",
        "needs a soak past every lifetime",
        "LiteLLM observatory",
    ),
    _named(
        "air-gapped",
        "It installs and records without the Internet",
        "needs an installation without network; redirects are judged by no-redirect",
        "Helicone #5501",
        "Helicone #4695",
        "Helicone #3549",
    ),
    _named(
        "supply-chain",
        "Dependencies are locked with hashes",
        "needs the target's build, not its wire",
        "LiteLLM #24518",
    ),
    _named(
        "attribution",
        "Session and agent headers of Claude Code attribute the spend",
        "needs the target's own records",
        "Claude Code gateway protocol",
    ),
)
