"""The admin plane's own page: spend at a glance, as HTML made here. No scripts, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import tzinfo
from html import escape
from typing import Final

import msgspec
from starlette.responses import HTMLResponse

from metis.analytics.money import display, rounded
from metis.analytics.ports import TurnSummary
from metis.analytics.receipt import written
from metis.analytics.spend import CostReport, Spend, SpendRow
from metis.analytics.window import from_us

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c1d21; --soft: #5d616b; --line: #dcdee3; --page: #f7f7f8;
  --card: #ffffff; --accent: #0b6b57; --warn: #8a4b00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e9ec; --soft: #a2a7b3; --line: #34373f;
  --page: #15161a; --card: #1e2026; --accent: #5fd0b5; --warn: #f0b35c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main, header, footer { max-width: 68rem; margin: 0 auto; padding: 0 1rem; }
header { display: flex; align-items: center; justify-content: space-between; padding-top: 1rem; gap: 1rem; }
h1 { font-size: 1.15rem; margin: 0; }
h2 { font-size: 1rem; margin: 2rem 0 .5rem; }
h2 small { color: var(--soft); font-weight: 400; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(16rem, 1fr)); gap: 1rem; margin-top: 1rem; }
.card, .sheet { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.card { padding: 1rem; }
.card h2 { margin: 0; color: var(--soft); font-size: .9rem; font-weight: 500; }
.amount { font-size: 1.9rem; font-weight: 650; letter-spacing: -.01em; font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere; }
.card p { margin: .15rem 0 0; color: var(--soft); }
.card p.saved { color: var(--accent); }
.card p.doubt { color: var(--warn); }
.sheet { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .45rem .75rem; text-align: right; white-space: nowrap; }
th { color: var(--soft); font-size: .85rem; font-weight: 500; }
tbody tr { border-top: 1px solid var(--line); }
th:first-child, td:first-child, .text { text-align: left; }
td.name { overflow-wrap: anywhere; white-space: normal; min-width: 9rem; }
.empty { padding: 1rem; color: var(--soft); margin: 0; }
.bad { color: var(--warn); }
footer { color: var(--soft); padding: 2rem 1rem; font-size: .9rem; }
a { color: var(--accent); }
button { font: inherit; color: var(--ink); background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; padding: .35rem .8rem; cursor: pointer; }
input { font: inherit; color: var(--ink); background: var(--page); border: 1px solid var(--line);
  border-radius: 8px; padding: .4rem .6rem; width: 100%; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
label { display: block; margin: .75rem 0 .25rem; }
form.login { max-width: 26rem; }
form.login button { margin-top: .75rem; }
code { font-family: ui-monospace, SFMono-Regular, Menlo, monospace; font-size: .92em; }
@media (min-width: 40.01rem) { .narrow { display: none; } }
@media (max-width: 40rem) { .wide { display: none; } th, td { padding: .45rem .5rem; }
  td.name { min-width: 6rem; } .narrow { display: block; } }
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
PAGE_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows. `key_names` maps key ids to what people call them; instants are shown in `zone`."""

    zone: tzinfo
    version: str
    today: CostReport
    week: CostReport
    by_model: CostReport
    by_key: CostReport
    turns: Sequence[TurnSummary]
    key_names: dict[str, str]


def overview_page(overview: Overview) -> HTMLResponse:
    """Render the page of a signed-in person."""
    key_rows = [
        (overview.key_names.get(row.group["key_id"], row.group["key_id"]), row)
        for row in overview.by_key.rows
    ]
    model_rows = [
        ("/".join(filter(None, row.group.values())), row) for row in overview.by_model.rows
    ]
    body = f"""
<header><h1>Metis</h1>
<form method="post" action="/logout"><button>Log out</button></form></header>
<main>
<section class="cards">
{_card("Spent today", overview.today.total)}
{_card("Spent in 7 days", overview.week.total)}
</section>
<h2>By model <small>7 days</small></h2>
{_spend_table("model", model_rows)}
<h2>By key <small>7 days</small></h2>
{_spend_table("key", key_rows)}
<h2>Last turns</h2>
{_turn_table(overview.turns, overview.zone)}
</main>
<footer>Times are {escape(str(overview.zone))}. Seven days are today and the six days before. More:
<a href="/analytics/cost?interval=day">cost by day</a>,
<a href="/analytics/by_session">by session</a>, <a href="/metrics">metrics</a>,
<a href="/openapi.json">API</a>. Metis {escape(overview.version)}.</footer>"""
    return _page(body, status=200)


def login_page(*, status: int = 200, expired: bool = False, refused: str = "") -> HTMLResponse:
    """Render what somebody sees who is not signed in."""
    why = "Your session has ended." if expired else refused
    note = f'<p class="bad">{escape(why)}</p>' if why else ""
    body = f"""
<header><h1>Metis</h1></header>
<main><section class="cards"><div class="card">
{note}<p>Open the login link that <code>metis up</code> prints, or paste the admin token.</p>
<form class="login" method="post" action="/login">
<label for="token">Admin token</label>
<input id="token" name="token" type="password" autocomplete="off" required>
<button>Sign in</button></form>
</div></section></main>"""
    return _page(body, status=status)


def _page(body: str, *, status: int) -> HTMLResponse:
    html = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Metis</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><style>{_STYLE}</style></head><body>{body}
</body></html>
"""
    return HTMLResponse(html, status_code=status, headers={"content-security-policy": PAGE_POLICY})


def _card(title: str, row: SpendRow) -> str:
    spend = row.spend
    lines = [
        f"<p>{row.turns:,} turns, {spend.calls:,} calls, {_tokens(spend):,} tokens</p>",
        *(f'<p class="{kind}">{escape(text)}</p>' for kind, text in _remarks(row)),
    ]
    return (
        f'<div class="card"><h2>{escape(title)}</h2>'
        f'<div class="amount">{display(spend.cost_nano_usd)}</div>{"".join(lines)}</div>'
    )


def _remarks(row: SpendRow) -> list[tuple[str, str]]:
    """What a total must not hide: savings and what they rest on, estimates, unknowns, other payers."""
    spend, remarks = row.spend, list[tuple[str, str]]()
    comparison = row.comparison
    if comparison is not None and comparison.saving_nano_usd is not None:
        saving = comparison.saving_nano_usd
        verb = "less" if saving >= 0 else "more"
        remarks.append(
            (
                "saved" if saving >= 0 else "doubt",
                f"{rounded(abs(saving))} {verb} than {comparison.model} would have cost "
                f"({comparison.compared_calls:,} calls compared)",
            )
        )
    estimated = spend.usage_source.estimated
    if estimated.calls:
        remarks.append(
            (
                "doubt",
                f"{display(estimated.cost_nano_usd)} of it estimated ({estimated.calls:,} calls)",
            )
        )
    if spend.usage_source.unknown.calls:
        remarks.append(("doubt", f"{spend.usage_source.unknown.calls:,} calls with unknown usage"))
    if spend.price_unknown_calls:
        remarks.append(
            (
                "doubt",
                f"{spend.price_unknown_calls:,} calls whose price is not known: the total lacks it",
            )
        )
    if row.client_paid.calls:
        remarks.append(
            (
                "",
                f"Not in it: {display(row.client_paid.cost_nano_usd)} at list price that clients paid "
                f"themselves ({row.client_paid.calls:,} calls)",
            )
        )
    return remarks


def _tokens(spend: Spend) -> int:
    tokens = spend.tokens
    return tokens.fresh + tokens.cache_read + written(tokens) + tokens.output


def _spend_table(noun: str, rows: Sequence[tuple[str, SpendRow]]) -> str:
    if not rows:
        return '<div class="sheet"><p class="empty">No call yet.</p></div>'
    lines = [_spend_line(name, row) for name, row in rows]
    return (
        f'<div class="sheet"><table><thead><tr><th scope="col">{noun}</th><th scope="col">cost</th>'
        '<th scope="col">turns</th><th scope="col" class="wide">calls</th>'
        '<th scope="col" class="wide">cached</th><th scope="col" class="wide">written</th>'
        '<th scope="col" class="wide">fresh</th><th scope="col" class="wide">out</th></tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _spend_line(name: str, row: SpendRow) -> str:
    spend, amount = row.spend, escape(rounded(row.spend.cost_nano_usd))
    if not spend.calls and row.client_paid.calls:
        spend, amount = row.client_paid, "client paid"
    elif spend.price_unknown_calls:
        known = f"≥ {amount}" if spend.cost_nano_usd else "unknown"
        amount = f'<span class="bad">{known}</span>'
    tokens = spend.tokens
    return (
        f'<tr><td class="name">{escape(name) or "(none)"}</td><td>{amount}</td>'
        f'<td>{row.turns:,}</td><td class="wide">{spend.calls:,}</td>'
        f'<td class="wide">{tokens.cache_read:,}</td><td class="wide">{written(tokens):,}</td>'
        f'<td class="wide">{tokens.fresh:,}</td><td class="wide">{tokens.output:,}</td></tr>'
    )


def _turn_table(turns: Sequence[TurnSummary], zone: tzinfo) -> str:
    if not turns:
        return '<div class="sheet"><p class="empty">No turn yet.</p></div>'
    head = (
        '<tr><th scope="col">time</th><th scope="col" class="text">model</th>'
        '<th scope="col" class="text wide">client</th><th scope="col" class="text wide">answer</th>'
        '<th scope="col" class="wide">in</th><th scope="col" class="wide">out</th>'
        '<th scope="col">cost</th></tr>'
    )
    lines = "".join(_turn_line(turn, zone) for turn in turns)
    return f'<div class="sheet"><table><thead>{head}</thead><tbody>{lines}</tbody></table></div>'


def _turn_line(turn: TurnSummary, zone: tzinfo) -> str:
    moment = from_us(turn.ts, zone)
    model = "/".join(filter(None, (turn.provider, turn.model))) or turn.requested_model
    outcome = _outcome(turn)
    below = f'<span class="narrow">{outcome}</span>' if turn.outcome != "ok" else ""
    return (
        f'<tr><td><span class="wide">{moment:%m-%d} </span>{moment:%H:%M:%S}</td>'
        f'<td class="text name">{escape(model)}{below}</td>'
        f'<td class="text wide">{escape(turn.client)}</td><td class="text wide">{outcome}</td>'
        f'<td class="wide">{turn.usage.prompt_tokens:,}</td>'
        f'<td class="wide">{turn.usage.output_tokens:,}</td><td>{_turn_amount(turn)}</td></tr>'
    )


def _outcome(turn: TurnSummary) -> str:
    label = escape(turn.outcome.replace("_", " "))
    if turn.outcome == "ok":
        return label
    status = f" {turn.http_status}" if turn.http_status else ""
    return f'<span class="bad">{label}{status}</span>'


def _turn_amount(turn: TurnSummary) -> str:
    if turn.price_unknown_calls and not turn.cost_nano_usd:
        return '<span class="bad">unknown</span>'
    if turn.client_cost_nano_usd and not turn.cost_nano_usd:
        return "client paid"
    about = "≈ " if turn.unreported_calls else ""
    return about + escape(rounded(turn.cost_nano_usd))
