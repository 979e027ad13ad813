"""What the admin plane answers: reports in JSON and CSV, turns, keys, errors that say what to do."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient
from tests.ledgers import DAY, HOUR, NOON, SECOND, call, client_paid, decided, turn
from tests.unit.gateway.admin.conftest import Plane

from metis.accounts.keys import KeySpec
from metis.facts.usage import Usage, UsageSource
from metis.gateway.admin.operations import OPERATIONS, PARAMETERS
from metis.storage.sqlite.queries import SqliteLedgerQueries


class Baseline:
    model = "claude-opus-5"

    def price(self, provider: str, model: str, usage: Usage, at_ts: int) -> int | None:
        return None if provider == "local" else usage.total_tokens * 10_000


def record_spend(plane: Plane) -> None:
    plane.ledger.record(
        call(NOON, cost_nano_usd=1_500_000_000, usage=Usage(input_tokens=100, cache_read_tokens=7)),
        call(NOON, key_id="key_b", user_id="bob", team_id="team-b", cost_nano_usd=1, model="haiku"),
        call(NOON + HOUR, cost_nano_usd=20, usage_source=UsageSource.ESTIMATED, outcome="aborted"),
        call(NOON, **client_paid(cost_nano_usd=900)),
        turn(NOON + SECOND),
        turn(NOON + HOUR),
    )


def test_cost_gives_totals_with_everything_told_apart(plane: Plane) -> None:
    record_spend(plane)
    answer = plane.client(baseline=Baseline()).get("/analytics/cost").json()
    nothing = {"calls": 0, "cost_nano_usd": 0, "cost_usd": "0"}
    assert answer["total"] == {
        "from": None,
        "to": None,
        "turns": 2,
        "calls": 3,
        "errors": 0,
        "aborted": 1,
        "interrupted": 0,
        "tokens": {
            "fresh": 300,
            "cache_read": 7,
            "cache_write_5m": 0,
            "cache_write_1h": 0,
            "output": 20,
            "reasoning": 0,
        },
        "cost_nano_usd": 1_500_000_021,
        "cost_usd": "1.500000021",
        "usage_source": {
            "reported": {"calls": 2, "cost_nano_usd": 1_500_000_001, "cost_usd": "1.500000001"},
            "estimated": {"calls": 1, "cost_nano_usd": 20, "cost_usd": "0.00000002"},
            "unknown": nothing,
        },
        "price_unknown_calls": 0,
        "client_paid": {
            "calls": 1,
            "errors": 0,
            "aborted": 0,
            "interrupted": 0,
            "tokens": {
                "fresh": 100,
                "cache_read": 0,
                "cache_write_5m": 0,
                "cache_write_1h": 0,
                "output": 10,
                "reasoning": 0,
            },
            "cost_nano_usd": 900,
            "cost_usd": "0.0000009",
            "usage_source": {
                "reported": {"calls": 1, "cost_nano_usd": 900, "cost_usd": "0.0000009"},
                "estimated": nothing,
                "unknown": nothing,
            },
            "price_unknown_calls": 0,
        },
        "baseline_nano_usd": 3_270_000,
        "baseline_usd": "0.00327",
        "compared_cost_nano_usd": 1_500_000_021,
        "compared_cost_usd": "1.500000021",
        "saving_nano_usd": -1_496_730_021,
        "saving_usd": "-1.496730021",
        "compared_calls": 3,
        "uncompared_calls": 0,
    }
    assert (answer["currency"], answer["baseline_model"], answer["open_calls"]) == (
        *("USD", "claude-opus-5"),
        0,
    )


@pytest.mark.parametrize(
    ("path", "columns"),
    [
        ("/analytics/by_key", ["key_id"]),
        ("/analytics/by_user", ["user_id"]),
        ("/analytics/by_team", ["team_id"]),
        ("/analytics/by_project", ["project_id"]),
        ("/analytics/by_session", ["key_id", "session_id"]),
        ("/analytics/by_model", ["provider", "model"]),
        ("/analytics/by_client", ["client"]),
        ("/analytics/cost?group_by=team,model", ["team_id", "provider", "model"]),
    ],
)
def test_every_grouping_adds_up_to_the_same_total_in_json_and_csv(
    plane: Plane, client: TestClient, path: str, columns: list[str]
) -> None:
    record_spend(plane)
    answer = client.get(path).json()
    assert [list(row)[: len(columns)] for row in answer["rows"]] == [columns] * len(answer["rows"])
    assert sum(row["cost_nano_usd"] for row in answer["rows"]) == 1_500_000_021
    assert sum(Decimal(row["cost_usd"]) for row in answer["rows"]) == Decimal("1.500000021")
    joint = "&" if "?" in path else "?"
    text = client.get(f"{path}{joint}format=csv")
    assert text.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(text.text)))
    assert [[row[name] for name in columns] for row in rows] == [
        [row[name] for name in columns] for row in answer["rows"]
    ]
    assert sum(Decimal(row["cost_usd"]) for row in rows) == Decimal("1.500000021")
    assert [int(row["tokens.fresh"]) for row in rows] == [
        row["tokens"]["fresh"] for row in answer["rows"]
    ]


def test_ranges_zones_and_intervals_cut_the_report(plane: Plane, client: TestClient) -> None:
    record_spend(plane)
    answer = client.get(
        "/analytics/cost",
        params={
            "from": "2026-11-20",
            "to": "2026-11-21T00:00:00+01:00",
            "tz": "Europe/Berlin",
            "interval": "hour",
        },
    ).json()
    assert [(row["from"], row["to"], row["cost_nano_usd"]) for row in answer["rows"]] == [
        ("2026-11-20T13:00:00+01:00", "2026-11-20T14:00:00+01:00", 1_500_000_001),
        ("2026-11-20T14:00:00+01:00", "2026-11-20T15:00:00+01:00", 20),
    ]
    assert answer["total"]["cost_nano_usd"] == 1_500_000_021
    epoch = client.get(f"/analytics/cost?from={NOON // SECOND}&to={NOON // SECOND + 1}").json()
    assert epoch["total"]["cost_nano_usd"] == 1_500_000_001


def test_filters_narrow_a_report(plane: Plane, client: TestClient) -> None:
    record_spend(plane)
    assert client.get("/analytics/by_model?user=bob").json()["total"]["cost_nano_usd"] == 1
    assert client.get("/analytics/cost?model=haiku&key=key_b").json()["total"]["calls"] == 1
    assert client.get("/analytics/cost?session=nowhere").json()["total"]["calls"] == 0


def test_pages_hold_all_rows_once_and_the_total_stays_whole(
    plane: Plane, client: TestClient
) -> None:
    plane.ledger.record(*(call(NOON, user_id=f"u{n}", cost_nano_usd=n) for n in range(1, 6)))
    seen: list[str] = []
    cursor: str | None = "0"
    while cursor is not None:
        answer = client.get(f"/analytics/by_user?limit=2&cursor={cursor}").json()
        seen += [row["user_id"] for row in answer["rows"]]
        assert answer["total"]["cost_nano_usd"] == 15
        cursor = answer["next_cursor"]
    assert seen == ["u5", "u4", "u3", "u2", "u1"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/analytics/cost?frm=2026-01-01", "unknown query parameter 'frm'; did you mean 'from'?"),
        ("/analytics/cost?zzz=1", "unknown query parameter 'zzz'; known are"),
        ("/analytics/by_key?group_by=user", "unknown query parameter 'group_by'"),
        ("/analytics/cost?from=1&from=2", "'from' is given twice"),
        ("/analytics/cost?from=soon", "is no instant"),
        ("/analytics/cost?from=0001-01-01&tz=Asia/Tokyo", "outside the calendar"),
        ("/analytics/cost?to=9999-12-31&tz=America/Lima", "outside the calendar"),
        ("/analytics/cost?from=2026-01-02&to=2026-01-01", "'to' must be later than 'from'"),
        ("/analytics/cost?tz=Mars/Base", "unknown time zone"),
        ("/analytics/cost?interval=daily", "did you mean 'day'?"),
        ("/analytics/cost?group_by=teams", "did you mean 'team'?"),
        ("/analytics/cost?limit=0", "'limit' must be a whole number from 1 to 10000"),
        ("/analytics/cost?limit=1e3", "'limit' must be"),
        ("/analytics/cost?cursor=-1", "'cursor' must be"),
        ("/analytics/cost?format=xml", "unknown format 'xml'"),
        ("/analytics/cost?interval=hour&from=2000-01-01&to=2020-01-01", "longer interval"),
        ("/analytics/turns/x?y=1", "unknown query parameter 'y'"),
        ("/keys?include_inactive=maybe", "'include_inactive' must be 'true' or 'false'"),
        (f"/analytics/cost?user={'x' * 600}", "longer than 512"),
    ],
)
def test_a_parameter_that_does_not_check_is_named_with_the_remedy(
    client: TestClient, path: str, words: str
) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request")
    assert words in answer.json()["error"]["message"]


def test_turns_come_newest_first_in_pages(plane: Plane, client: TestClient) -> None:
    for number in range(3):
        turn_id = f"turn_n{number}"
        plane.ledger.record(
            decided(turn_id=turn_id),
            call(NOON, turn_id=turn_id),
            turn(NOON + number, turn_id=turn_id),
        )
    first = client.get("/analytics/turns?limit=2").json()
    assert [shown["turn_id"] for shown in first["turns"]] == ["turn_n2", "turn_n1"]
    rest = client.get(f"/analytics/turns?limit=2&cursor={first['next_cursor']}").json()
    assert [shown["turn_id"] for shown in rest["turns"]] == ["turn_n0"]
    assert rest["next_cursor"] is None
    newest = first["turns"][0]
    assert (
        newest["time"],
        newest["slot"],
        newest["cost_usd"],
        newest["usage"]["input_tokens"],
    ) == (
        *("2026-11-20T12:00:00.000002Z", "requested", "0.00045"),
        100,
    )
    assert "rowid" not in newest
    rows = list(csv.DictReader(io.StringIO(client.get("/analytics/turns?format=csv").text)))
    assert [row["turn_id"] for row in rows] == ["turn_n2", "turn_n1", "turn_n0"]
    assert (rows[0]["usage.input_tokens"], rows[0]["cost_usd"]) == ("100", "0.00045")


def test_one_turn_explains_itself(plane: Plane, client: TestClient) -> None:
    plane.ledger.record(
        decided(turn_id="turn_1"),
        call(NOON, turn_id="turn_1"),
        turn(NOON, turn_id="turn_1", response_id="msg_client"),
    )
    answer = client.get("/analytics/turns/msg_client").json()
    assert answer["turn_id"] == "turn_1"
    assert [verdict["slot"] for verdict in answer["decision"]["verdicts"]] == [
        *("override", "requested"),
    ]
    assert answer["fidelity"] == [
        {"verb": "dropped", "path": "$.thread", "why": "not in this shape"}
    ]
    assert [(c["cost_usd"], c["started_at"]) for c in answer["calls"]] == [
        ("0.00045", "2026-11-20T12:00:00Z")
    ]
    missing = client.get("/analytics/turns/nothing")
    assert (missing.status_code, missing.json()["error"]["type"]) == (404, "not_found")


def test_a_clients_own_words_are_no_formula_in_a_spreadsheet(
    plane: Plane, client: TestClient
) -> None:
    plane.ledger.record(call(NOON, session_id="=HYPERLINK(1)"))
    rows = list(csv.DictReader(io.StringIO(client.get("/analytics/by_session?format=csv").text)))
    assert rows[0]["session_id"] == "'=HYPERLINK(1)"


def test_an_empty_ledger_gives_zeros_and_a_csv_head(client: TestClient) -> None:
    answer = client.get("/analytics/by_key").json()
    assert (answer["rows"], answer["total"]["cost_usd"]) == ([], "0")
    assert client.get("/analytics/by_key?format=csv").text.startswith("key_id,from,to,turns,calls")
    assert client.get("/analytics/cost?interval=day").json()["rows"] == []


def test_a_ledger_that_cannot_be_read_is_503(plane: Plane) -> None:
    client = plane.client(queries=SqliteLedgerQueries(plane.ledger.path.parent / "none.db"))
    answer = client.get("/analytics/cost")
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "5"


def test_a_key_lives_its_life(plane: Plane, client: TestClient) -> None:
    spec = {"name": "laptop", "team_id": "red", "user_id": "ann", "allowed_models": ["claude-*"]}
    answer = client.post("/keys", json=spec)
    made: dict[str, Any] = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    plaintext = made.pop("key")
    assert plaintext.startswith(made["prefix"] + "-")
    assert made == {
        "prefix": made["prefix"],
        "status": "active",
        "name": "laptop",
        "user_id": "ann",
        "team_id": "red",
        "project_id": "default",
        "org_id": "default",
        "pinned_model": None,
        "allowed_models": ["claude-*"],
        "budgeted": False,
        "ephemeral": False,
        "mode": "",
        "expires_ts": None,
        "expires_at": None,
        "key_id": made["key_id"],
        "created_ts": NOON + HOUR,
        "created_at": "2026-11-20T13:00:00Z",
        "revoked_ts": None,
        "revoked_at": None,
        "replaces": "",
    }
    assert client.get("/keys").json() == {"keys": [made]}
    before = plane.generations.keys()
    plane.now += SECOND
    rotated = client.post(f"/keys/{made['key_id']}/rotate", json={"grace_s": 60}).json()
    assert (rotated["replaces"], rotated["team_id"]) == (made["key_id"], "red")
    assert plane.generations.keys() > before
    plane.now += 60 * SECOND
    revoked = client.post(f"/keys/{rotated['prefix']}/revoke").json()
    assert (revoked["status"], revoked["revoked_at"]) == ("revoked", "2026-11-20T13:01:01Z")
    listed = client.get("/keys?include_inactive=true")
    assert [key["status"] for key in listed.json()["keys"]] == ["expired", "revoked"]
    assert "digest" not in listed.text
    assert plaintext[18:] not in listed.text


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/keys", b"{", 400, "the body does not check"),
        ("/keys", b'{"nam": 1}', 400, "nam"),
        ("/keys", b'{"name": 1}', 400, "$.name"),
        ("/keys", b'{"team_id": ""}', 400, "team_id"),
        ("/keys", b'{"expires_ts": 1}', 400, "expired already"),
        ("/keys", b'{"expires_ts": 9000000000000000000}', 400, "over 100 years"),
        ("/keys", b'{"expires_ts": 1%b}' % (b"0" * 40), 400, "over 100 years"),
        ("/keys", b'{"name": "' + b"x" * 70_000 + b'"}', 413, "larger than"),
        ("/keys/key_nothing1/revoke", b"", 404, "there is no key"),
        ("/keys/key_nothing1/rotate", b"", 404, "there is no key"),
        ("/keys/key_nothing1/rotate", b'{"grace_s": -1}', 400, "grace_s"),
    ],
)
def test_a_bad_key_request_says_what_is_wrong(
    plane: Plane, client: TestClient, path: str, body: bytes, status: int, words: str
) -> None:
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]
    assert plane.accounts.list_keys() == []


def test_a_key_that_was_once_given_an_expiry_beyond_the_calendar_is_listed(
    plane: Plane, client: TestClient
) -> None:
    spec = KeySpec(expires_ts=NOON + DAY)
    minted = plane.accounts.create_key(spec, now_ts=NOON, actor="test")
    far = msgspec.structs.replace(minted.record, expires_ts=2**63 - 1)
    plane.accounts._keys[far.key_id] = far
    [listed] = client.get("/keys").json()["keys"]
    assert (listed["expires_ts"], listed["expires_at"]) == (2**63 - 1, "9999-01-01T00:00:00Z")
    assert client.get("/").status_code == 200
    rotated = client.post(f"/keys/{far.key_id}/rotate").json()
    assert rotated["expires_at"].startswith("2126-")


def test_a_body_that_is_no_json_is_refused(client: TestClient) -> None:
    answer = client.post("/keys", data={"name": "x"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (415, "unsupported_media")


@pytest.mark.parametrize(
    "body", [b'{"name":"\xff"}', b'{"x":' + b"[" * 9_000 + b"]" * 9_000 + b"}"]
)
def test_a_body_that_cannot_be_read_is_the_callers_mistake(client: TestClient, body: bytes) -> None:
    answer = client.post("/keys", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request")


def test_unknown_paths_and_methods_answer_in_json(client: TestClient) -> None:
    assert client.get("/nowhere").json()["error"]["type"] == "not_found"
    assert client.delete("/keys").json()["error"]["type"] == "method_not_allowed"
    assert client.get("/analytics/cost/").status_code == 404


def test_the_page_shows_spend_and_escapes_what_clients_say(plane: Plane) -> None:
    minted = plane.accounts.create_key(KeySpec(name="<b>laptop</b>"), now_ts=NOON, actor="test")
    plane.ledger.record(
        call(NOON, key_id=minted.record.key_id, cost_nano_usd=1_234_500_000),
        call(NOON, model="<script>alert(1)</script>", cost_nano_usd=1),
        call(NOON, provider="mine", model="qwen", price_unknown=True, cost_nano_usd=0),
        call(NOON, usage_source=UsageSource.ESTIMATED, cost_nano_usd=7),
        call(NOON, **client_paid(cost_nano_usd=900)),
        turn(NOON, client="<i>odd</i>"),
    )
    answer = plane.client(baseline=Baseline()).get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    text = answer.text
    for shown in (
        "$1.234500008",
        "&lt;b&gt;laptop&lt;/b&gt;",
        "&lt;script&gt;",
        "&lt;i&gt;odd&lt;/i&gt;",
        "1 calls whose price is not known",
        "$0.000000007 of it estimated",
        "more than claude-opus-5 would have cost",
        "$0.0000009 at list price that clients paid",
    ):
        assert shown in text, shown
    assert "<script" not in text
    assert "http://" not in text
    assert "https://" not in text


def test_an_empty_page_says_so(client: TestClient) -> None:
    text = client.get("/").text
    assert ("No call yet." in text, "No turn yet." in text) == (True, True)


def test_the_openapi_document_lists_every_operation_and_parameter(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    listed = {
        (path, method.upper(), item["operationId"], tuple(
            p["name"] for p in item["parameters"] if p["in"] == "query"
        ))
        for path, methods in document["paths"].items()
        for method, item in methods.items()
    }  # fmt: skip
    assert listed == {(o.path, o.method, o.name, o.query) for o in OPERATIONS}
    assert set(PARAMETERS) == {name for o in OPERATIONS for name in o.query}
