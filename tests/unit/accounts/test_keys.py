import hashlib
import itertools
import re

import msgspec
import pytest

from metis.accounts.keys import KeyRecord, KeySpec, check_spec, key_id_of, mint, parse
from metis.errors import BadRequest

NOW = 1_795_176_000_000_000
SPEC = KeySpec(
    name="Ann's laptop",
    user_id="ann",
    team_id="web",
    project_id="shop",
    org_id="acme",
    pinned_model="claude-sonnet-5",
    allowed_models=("claude-*",),
    budgeted=True,
    mode="auto",
    expires_ts=NOW + 1,
)


def test_a_minted_key_is_kept_as_the_digest_of_the_whole_key() -> None:
    counter = itertools.count()
    minted = mint(SPEC, now_ts=NOW, choose=lambda letters: letters[next(counter) % len(letters)])
    assert minted.plaintext == "sk-metis-abcdefgh-89ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefgh"
    assert minted.record == KeyRecord(
        **msgspec.structs.asdict(SPEC),
        key_id="key_abcdefgh",
        digest=hashlib.sha256(minted.plaintext.encode()).digest(),
        created_ts=NOW,
    )
    assert minted.record.prefix == "sk-metis-abcdefgh"


def test_keys_differ_and_have_the_documented_shape() -> None:
    keys = {mint(KeySpec(), now_ts=NOW).plaintext for _ in range(200)}
    assert len(keys) == 200
    assert all(re.fullmatch("sk-metis-[a-z2-9]{8}-[0-9A-Za-z]{36}", key) for key in keys)


def test_no_repr_shows_the_secret() -> None:
    minted = mint(KeySpec(), now_ts=NOW)
    secret = minted.plaintext.rsplit("-", 1)[1]
    for text in (repr(minted), str(minted), f"{minted}", repr([minted]), repr(minted.record)):
        assert secret not in text


def test_only_a_whole_key_has_a_prefix_that_may_be_shown() -> None:
    key = mint(KeySpec(), now_ts=NOW).plaintext
    assert parse(key) == parse(key.encode()) == key[:17]
    for other in ("", "sk-metis-", key[:-1], key + "x", key[1:], f"{key}\n", key.upper(), "é" * 54):
        assert parse(other) is None, other
    assert parse(b"\xff" * 54) is None


@pytest.mark.parametrize("given", ["key_abcdefgh", "sk-metis-abcdefgh", "abcdefgh"])
def test_a_key_is_meant_by_its_id_its_prefix_or_its_name(given: str) -> None:
    assert key_id_of(given) == "key_abcdefgh"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (KeySpec(user_id=""), "user_id ''"),
        (KeySpec(team_id="a\nb"), "team_id"),
        (KeySpec(project_id=" shop"), "without spaces around it"),
        (KeySpec(org_id="x" * 129), "1 to 128"),
        (KeySpec(name="\x1b[31m"), "printable"),
        (KeySpec(expires_ts=NOW), "expired already"),
        (KeySpec(allowed_models=("gpt-*", " ")), "empty pattern"),
    ],
)
def test_a_spec_that_cannot_be_kept_is_refused_with_the_remedy(spec: KeySpec, message: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(message)):
        check_spec(spec, now_ts=NOW)
