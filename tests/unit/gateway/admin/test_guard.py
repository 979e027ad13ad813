"""Nothing passes without the token or a session, from another site, or under another name."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient
from structlog.testing import capture_logs
from tests.unit.gateway.admin.conftest import BASE, TOKEN, Plane

from metis.gateway.admin.guard import COOKIE, SECURITY_HEADERS, HostPolicy
from metis.gateway.admin.operations import OPERATIONS, Operation
from metis.gateway.admin.sessions import LINK_LIFE_S, SESSION_LIFE_S, mint_admin_token

GUARDED = [operation for operation in OPERATIONS if operation.access != "open"]


BAD_CREDENTIALS = [None, "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer ", f"Bearer {TOKEN}x"]


@pytest.mark.parametrize("operation", GUARDED, ids=lambda operation: operation.name)
def test_every_guarded_operation_refuses_bad_credentials(
    plane: Plane, operation: Operation
) -> None:
    client = plane.client(token=None, host="10.0.0.9")
    path = operation.path.replace("{id}", "x")
    for authorization in BAD_CREDENTIALS:
        headers = {} if authorization is None else {"authorization": authorization}
        answer = client.request(operation.method, path, headers=headers)
        assert (answer.status_code, answer.json()["error"]["type"]) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_token_opens_the_plane(client: TestClient) -> None:
    assert client.get("/analytics/cost").status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "10.0.0.9:8081", "", "127.0.0.1@evil", "a b", "x:y"],
)
def test_a_foreign_host_name_is_refused_even_with_the_token(client: TestClient, host: str) -> None:
    answer = client.get("/analytics/cost", headers={"host": host})
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "host_not_allowed")


@pytest.mark.parametrize(
    "host", ["localhost:8081", "LOCALHOST", "127.0.0.1", "[::1]:8081", "localhost."]
)
def test_loopback_names_are_served_with_any_port(client: TestClient, host: str) -> None:
    assert client.get("/analytics/cost", headers={"host": host}).status_code == 200


def test_configured_names_and_the_bound_host_are_served() -> None:
    policy = HostPolicy("10.0.0.5", ("metis.corp.example",))
    judged = {
        host: policy.allows(host)
        for host in ("10.0.0.5:8081", "Metis.Corp.Example", "localhost", "10.0.0.6", None)
    }
    assert judged == {
        "10.0.0.5:8081": True,
        "Metis.Corp.Example": True,
        "localhost": True,
        "10.0.0.6": False,
        None: False,
    }


def test_bound_to_every_address_any_literal_address_is_served_but_no_name() -> None:
    policy = HostPolicy("0.0.0.0")
    assert [
        policy.allows(h) for h in ("192.168.1.7:8081", "[fe80::1]:8081", "evil.example", "")
    ] == [*(True, True, False, False)]


def test_probes_need_neither_token_nor_name(plane: Plane) -> None:
    client = plane.client(token=None, host="10.0.0.9")
    assert client.get("/healthz", headers={"host": "10.42.0.7:8081"}).json() == {
        "status": "ok",
        "version": "0.0-test",
    }
    assert client.get("/readyz", headers={"host": "10.42.0.7:8081"}).status_code == 200
    plane.reasons.append("no worker is alive")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["reasons"]) == (503, ["no worker is alive"])


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "http://localhost:8081"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_change_asked_for_by_another_site_is_refused_even_with_the_token(
    plane: Plane, client: TestClient, headers: dict[str, str]
) -> None:
    answer = client.post("/keys", json={}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "origin_not_allowed")
    assert plane.accounts.list_keys() == []


@pytest.mark.parametrize("headers", [{"origin": BASE}, {"sec-fetch-site": "same-origin"}, {}])
def test_the_own_origin_and_no_browser_at_all_may_change_things(
    client: TestClient, headers: dict[str, str]
) -> None:
    assert client.post("/keys", json={}, headers=headers).status_code == 201


def test_a_cookie_alone_changes_nothing_without_an_origin(plane: Plane) -> None:
    client = plane.client(token=None)
    client.cookies.set(COOKIE, plane.sessions.open_session())
    assert client.get("/keys").status_code == 200
    assert client.post("/keys", json={}).status_code == 403
    assert client.post("/keys", json={}, headers={"origin": BASE}).status_code == 201


def test_a_wrong_token_is_not_saved_by_a_good_cookie(plane: Plane) -> None:
    client = plane.client(token="wrong")
    client.cookies.set(COOKIE, plane.sessions.open_session())
    assert client.get("/keys").status_code == 401


def test_a_login_link_works_once_and_sets_a_strict_cookie(plane: Plane) -> None:
    link = plane.client().post("/login_links").json()
    assert (link["url"].startswith(f"{BASE}/login?token="), link["expires_in_s"]) == (True, 600)
    browser = plane.client(token=None)
    answer = browser.get(link["url"])
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"httponly", "samesite=strict", "path=/"} <= {
        part.strip().lower() for part in cookie.split(";")
    }
    assert "secure" not in cookie.lower()
    assert browser.get("/", headers={"accept": "text/html"}).status_code == 200
    again = plane.client(token=None).get(link["url"])
    assert again.status_code == 401
    assert "used already" in again.text
    assert "set-cookie" not in again.headers


def test_over_https_the_cookie_is_secure(plane: Plane) -> None:
    client = plane.client(token=None, base="https://127.0.0.1:8081")
    answer = client.get(f"/login?token={plane.sessions.issue_link_token()}")
    assert "secure" in answer.headers["set-cookie"].lower()


def test_links_and_sessions_grow_old(plane: Plane) -> None:
    token = plane.sessions.issue_link_token()
    plane.now += LINK_LIFE_S * 1_000_000
    assert plane.sessions.redeem_link_token(token) is None
    cookie = plane.sessions.open_session()
    plane.now += SESSION_LIFE_S * 1_000_000 - 1
    assert plane.sessions.is_session(cookie)
    plane.now += 1
    assert not plane.sessions.is_session(cookie)


def test_sessions_and_links_are_bounded(plane: Plane) -> None:
    cookies = [plane.sessions.open_session() for _ in range(100)]
    assert sum(plane.sessions.is_session(cookie) for cookie in cookies) == 64
    assert plane.sessions.is_session(cookies[-1])


def test_the_login_form_takes_the_admin_token_and_nothing_else(plane: Plane) -> None:
    client = plane.client(token=None)
    refused = client.post("/login", data={"token": "wrong"}, headers={"origin": BASE})
    assert (refused.status_code, "set-cookie" in refused.headers) == (401, False)
    answer = client.post("/login", data={"token": TOKEN}, headers={"origin": BASE})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert client.get("/analytics/cost").status_code == 200
    cross = plane.client(token=None).post(
        "/login", data={"token": TOKEN}, headers={"origin": "https://evil.example"}
    )
    assert cross.status_code == 403


def test_logging_out_ends_the_session(plane: Plane) -> None:
    client = plane.client(token=None)
    cookie = plane.sessions.open_session()
    client.cookies.set(COOKIE, cookie)
    answer = client.post("/logout", headers={"origin": BASE})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert not plane.sessions.is_session(cookie)
    assert client.get("/logout").status_code == 401


def test_a_browser_without_a_session_sees_how_to_get_one(plane: Plane) -> None:
    answer = plane.client(token=None).get("/", headers={"accept": "text/html,*/*"})
    assert (answer.status_code, "metis up" in answer.text) == (401, True)
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("host", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("::ffff:127.0.0.1", {}, 200),
        ("10.0.0.9", {}, 401),
        ("127.0.0.1", {"x-forwarded-for": "127.0.0.1"}, 401),
        ("127.0.0.1", {"forwarded": "for=10.0.0.1"}, 401),
        ("10.0.0.9", {"x-forwarded-for": "127.0.0.1"}, 401),
        ("10.0.0.9", {"authorization": f"Bearer {TOKEN}"}, 200),
        ("127.0.0.1", {"authorization": "Bearer wrong"}, 401),
    ],
)
def test_metrics_are_open_to_this_machine_alone(
    plane: Plane, host: str, headers: dict[str, str], status: int
) -> None:
    assert (
        plane.client(token=None, host=host).get("/metrics", headers=headers).status_code == status
    )


@pytest.mark.parametrize("path", ["/healthz", "/", "/nowhere", "/metrics", "/analytics/cost?x=1"])
def test_every_answer_carries_the_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert {name: headers.get(name) for name, _ in SECURITY_HEADERS} == dict(SECURITY_HEADERS)
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers


def test_a_defect_is_a_plain_500_with_no_traceback(plane: Plane) -> None:
    class Broken:
        def turn(self, turn_id: str) -> None:
            raise RuntimeError("secret detail")

    answer = plane.client(queries=Broken()).get("/analytics/turns/x")
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "internal_error")
    assert "secret detail" not in answer.text
    assert answer.headers["x-frame-options"] == "DENY"


def test_no_secret_reaches_the_log(plane: Plane) -> None:
    with capture_logs() as logs:
        client = plane.client()
        minted = client.post("/keys", json={"name": "laptop"}).json()["key"]
        client.post(f"/keys/{minted[:17]}/rotate")
        link = client.post("/login_links").json()["url"].partition("token=")[2]
        plane.client(token=None).get(f"/login?token={link}")
        plane.client(token="wrong-token").get("/keys")
        plane.client(token=None).post("/login", data={"token": "wrong-token"})
    text = repr(logs)
    assert [entry["event"] for entry in logs] == [
        "admin.key_created",
        "admin.key_rotated",
        "admin.logged_in",
        "admin.auth_failed",
        "admin.login_refused",
    ]
    for secret in (minted, minted[18:], link, TOKEN, "wrong-token"):
        assert secret not in text


def test_admin_tokens_are_long_and_different() -> None:
    tokens = {mint_admin_token() for _ in range(50)}
    assert (len(tokens), min(map(len, tokens)) >= 50) == (50, True)
