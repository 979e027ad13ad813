"""`metis receipt` and `metis tail`: what a session came to, why each turn went where it went, and turns as they end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from metis.analytics import receipt as receipts
from metis.analytics.money import display, rounded, with_dollars
from metis.analytics.ports import (
    LedgerFilter,
    LedgerQueries,
    SessionSummary,
    TurnDetail,
    TurnSummary,
)
from metis.bootstrap.offline import open_baseline, open_ledger
from metis.cli.fidelity import gather, lines_of
from metis.cli.output import (
    colour,
    harmless,
    local_time,
    note,
    print_json,
    print_json_line,
    print_table,
)
from metis.config import Config
from metis.errors import NotFound

_POLL_S: Final = 0.5
_PAGE: Final = 200
_NOWHERE: Final = "no session, turn or response {} in the ledger; see 'metis receipt --list'"


def show_fidelity(config: Config, session: str | None, *, as_json: bool) -> int:
    """Show what was changed in a session's turns, the last 200 of them, or in one turn. Raises NotFound."""
    with open_ledger(config) as ledger:
        found = _find_session(ledger, session)
        if found is None:
            ids = [session or ""]
        else:
            where = LedgerFilter(key_id=found.key_id, session_id=found.session_id)
            ids = [turn.turn_id for turn in ledger.turns(where, limit=_PAGE)]
        details = [detail for one in ids if (detail := ledger.turn(one)) is not None]
    if found is None and not details:
        raise NotFound(_NOWHERE.format(repr(session or "")))
    gathered = gather(details)
    if as_json:
        print_json(_plain(gathered))
    else:
        print("\n".join(lines_of(gathered)))
    return 0


def show_receipt(config: Config, session: str | None, *, turns: bool, as_json: bool) -> int:
    """Show the receipt of a session (default: the last one), or all that is known of one turn.

    `session` is a session id, the start of one, a turn id, or the response id a client was given.
    Raises NotFound.
    """
    with open_ledger(config) as ledger:
        found = _find_session(ledger, session)
        if found is None:
            return _show_turn(ledger, session or "", as_json=as_json)
        where = LedgerFilter(key_id=found.key_id, session_id=found.session_id)
        baseline = open_baseline(config)
        title = f"{found.client} session {found.session_id}"
        value = receipts.receipt(ledger, where, baseline=baseline, title=title)
        listed = list(reversed(ledger.turns(where, limit=_PAGE))) if turns else []
    if as_json:
        shown = receipts.as_dict(value) | {"session": _plain(found)}
        print_json(shown | {"turn_list": [_plain(turn) for turn in listed]} if turns else shown)
        return 0
    print(receipts.render_text(harmless(value)), end="")
    for turn in map(harmless, listed):
        print(f"\n{local_time(turn.ts, '%H:%M:%S')}  {turn.turn_id}")
        print(f"  {turn_line(turn)}\n  {turn.reason}")
    return 0


def list_sessions(config: Config, *, limit: int, as_json: bool) -> int:
    """Show conversations, the one used last first."""
    with open_ledger(config) as ledger:
        sessions = ledger.sessions(limit=limit)
    if as_json:
        print_json([_plain(session) for session in sessions])
        return 0
    if not sessions:
        note("the ledger is empty; point a tool at the gateway first, see 'metis connect'")
        return 0
    print_table(
        ("SESSION", "CLIENT", "USER", "LAST USED", "TURNS", "TOKENS", "COST"),
        [
            (
                session.session_id,
                session.client,
                session.user_id,
                local_time(session.last_ts),
                f"{session.turns:,}",
                f"{_tokens(session):,}",
                rounded(session.cost_nano_usd),
            )
            for session in sessions
        ],
        right=("TURNS", "TOKENS", "COST"),
    )
    return 0


def tail_turns(
    config: Config,
    *,
    last: int,
    follow: bool,
    as_json: bool,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Print turns as they end, one line each, until interrupted."""
    with open_ledger(config) as ledger:
        # None asks for the newest ones; of an empty ledger everything that comes is new.
        page = ledger.tail(None, max(last, 1))
        seen = page[-1].rowid if page else 0
        _print_turns(page[-last:] if last else (), as_json=as_json)
        while follow:
            sleep(_POLL_S)
            page = ledger.tail(seen, _PAGE)
            if page:
                seen = page[-1].rowid
                _print_turns(page, as_json=as_json)
    return 0


def turn_line(turn: TurnSummary) -> str:
    """One turn on one line: who, from which model to which, tokens, cost, how long, how it ended."""
    served = f"{turn.provider}/{turn.model}" if turn.provider else "-"
    route = (
        served
        if turn.requested_model == turn.model
        else f"{turn.requested_model or '-'} → {served}"
    )
    usage = turn.usage
    tokens = f"in {usage.prompt_tokens:,}"
    if usage.cache_read_tokens:
        tokens += f" ({usage.cache_read_tokens:,} cached)"
    cost = "price unknown" if turn.price_unknown_calls else rounded(turn.cost_nano_usd)
    if turn.client_cost_nano_usd:
        cost += f" + {rounded(turn.client_cost_nano_usd)} client's"
    parts = [turn.client, route, f"{tokens} out {usage.output_tokens:,}", cost]
    parts.append(f"{turn.duration_us / 1e6:.1f} s")
    if turn.auxiliary:
        parts.append(turn.auxiliary)
    if turn.outcome != "ok":
        parts.append(colour(f"{turn.outcome} {turn.http_status or ''}".strip(), "31"))
    return "  ".join(parts)


def _print_turns(turns: Sequence[TurnSummary], *, as_json: bool) -> None:
    for turn in turns:
        if as_json:
            print_json_line(_plain(turn))
        else:
            line = turn_line(harmless(turn))
            print(f"{local_time(turn.ts, '%H:%M:%S')}  {line}", flush=True)


def _find_session(ledger: LedgerQueries, wanted: str | None) -> SessionSummary | None:
    """The session meant; None when it may be a turn's id. Raises NotFound when the ledger is empty."""
    if wanted is None:
        newest = ledger.sessions(limit=1)
        if not newest:
            raise NotFound(
                "the ledger is empty; point a tool at the gateway first, see 'metis connect'"
            )
        return newest[0]
    exact = ledger.sessions(limit=1, session_id=wanted)
    if exact:
        return exact[0]
    started = [s for s in ledger.sessions(limit=_PAGE) if s.session_id.startswith(wanted)]
    if len(started) > 1:
        some = ", ".join(harmless(s.session_id) for s in started[:3])
        raise NotFound(
            f"{wanted!r} is the start of {len(started)} sessions: {some}; give more of it"
        )
    return started[0] if started else None


def _show_turn(ledger: LedgerQueries, turn_id: str, *, as_json: bool) -> int:
    detail = ledger.turn(turn_id)
    if detail is None:
        raise NotFound(_NOWHERE.format(repr(turn_id)))
    if as_json:
        print_json(_plain(detail))
    else:
        print("\n".join(_turn_lines(harmless(detail))))
    return 0


def _turn_lines(detail: TurnDetail) -> list[str]:
    turn = detail.turn
    lines = [f"Turn {detail.turn_id}"]
    lines.append(f"  {turn_line(turn)}" if turn is not None else "  still running")
    decision = detail.decision
    if decision is not None:
        lines += ["", f"Why {decision.provider}/{decision.model}: {decision.reason}"]
        for verdict in decision.verdicts:
            model = f" {verdict.model}" if verdict.model else ""
            lines.append(f"  {verdict.slot:<10} {verdict.kind:<7}{model}  {verdict.reason}")
        for candidate in decision.candidates:
            why_not = f"  not eligible: {candidate.why_not}" if not candidate.eligible else ""
            lines.append(f"  candidate  {candidate.provider}/{candidate.model}{why_not}")
    if detail.calls:
        lines += ["", "Calls"]
        for call in detail.calls:
            cost = "price unknown" if call.price_unknown else display(call.cost_nano_usd)
            ended = call.outcome if call.completed_ts is not None else "running"
            lines.append(
                f"  {call.attempt}  {call.provider}/{call.model}  {ended} {call.http_status or ''}  "
                f"{call.usage_source}  {cost}  {call.duration_us / 1e6:.2f} s"
            )
    if detail.fidelity:
        lines += ["", "What the crossing changed"]
        lines += [f"  {change.verb}  {change.path}  {change.why}" for change in detail.fidelity]
    return lines


def _tokens(session: SessionSummary) -> int:
    return (
        session.input_tokens
        + session.cache_read_tokens
        + session.cache_write_tokens
        + session.output_tokens
    )


def _plain(value: Any) -> Any:
    return with_dollars(msgspec.to_builtins(value))
