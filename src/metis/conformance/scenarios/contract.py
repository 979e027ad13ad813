"""What Claude Code expects of a gateway: https://code.claude.com/docs/en/llm-gateway-protocol."""

from __future__ import annotations

import json
from typing import Final

from metis.conformance.client import NoAnswer, Outgoing, send
from metis.conformance.json_values import dicts
from metis.conformance.judging import Failed, NotApplicable, check, equal
from metis.conformance.neutral import Prompt
from metis.conformance.scenario import Scenario
from metis.conformance.stage import Stage
from metis.conformance.upstream import Seen, Wire

_CONTRACT: Final = ("Claude Code gateway protocol",)
_ABSENT: Final = (404, 405, 501)
_MODELS_S: Final = 3.0


async def _credentials(stage: Stage) -> None:
    key = stage.target.key
    for line in (("x-api-key", key), ("authorization", f"Bearer {key}")):
        outgoing = stage.outgoing(stage.body_of(Prompt()))
        kept = [one for one in outgoing.headers if one[0] not in ("x-api-key", "authorization")]
        only = Outgoing("POST", outgoing.path, [*kept, line], outgoing.body)
        reply = await send(stage.target.url, only, most_s=stage.target.timeout_s)
        equal(f"the status with {line[0]}", reply.status, 200)


async def _query(stage: Stage) -> None:
    reply = await stage.post(stage.body_of(Prompt()), path=f"{stage.shape.path}?beta=true")
    equal("the status of POST /v1/messages?beta=true", reply.status, 200)


async def _root(stage: Stage) -> None:
    reply = await send(
        stage.target.url, Outgoing("HEAD", "/", [("accept", "*/*")]), most_s=stage.target.timeout_s
    )
    check(reply.status < 500, "an answer to HEAD / below 500", reply.status)


async def _models(stage: Stage) -> None:
    lines = [("anthropic-version", "2023-06-01"), *stage.target.credentials(stage.shape.name)]
    lines += stage.target.headers.get("", ())
    lines += stage.target.headers.get(stage.behind.name, ())
    outgoing = Outgoing("GET", "/v1/models?limit=1000", lines)
    try:
        reply = await send(stage.target.url, outgoing, most_s=_MODELS_S)
    except NoAnswer as exc:
        raise Failed(f"a list of models within {_MODELS_S:g} s, or a refusal", str(exc)) from exc
    if reply.status in _ABSENT:
        raise NotApplicable(f"the target lists no models: GET /v1/models gave {reply.status}")
    check(not 300 <= reply.status < 400, "no redirect", reply.status)
    equal("the status", reply.status, 200)
    ids = [str(one.get("id")) for one in dicts(reply.json.get("data"))]
    known = [one for one in ids if one.startswith(("claude", "anthropic"))]
    check(bool(known), "a model that a client of this API recognises", ids[:20])


async def _count(stage: Stage) -> None:
    async def script(_seen: Seen, wire: Wire) -> None:
        await wire.answer(200, json.dumps({"input_tokens": 4711}).encode())

    body = stage.body_of(Prompt())
    del body["max_tokens"]
    reply = await stage.post(body, script=script, path="/v1/messages/count_tokens")
    if reply.status in _ABSENT:
        raise NotApplicable(f"the target counts no tokens: status {reply.status}")
    equal("the status", reply.status, 200)
    counted = reply.json.get("input_tokens")
    if stage.seen:
        equal("the upstream's count", counted, 4711)
    else:
        check(isinstance(counted, int) and counted > 0, "a count of its own", reply.json)


async def _no_redirect(stage: Stage) -> None:
    reply = await stage.ask(Prompt())
    check(not 300 <= reply.status < 400, "an answer, no redirect", reply.status)


CONTRACT: Final = (
    Scenario(
        "both-credentials",
        "x-api-key and a bearer token are both accepted",
        "contract",
        _credentials,
        _CONTRACT,
        shapes=("anthropic",),
    ),
    Scenario(
        "beta-query",
        "POST /v1/messages?beta=true is served",
        "contract",
        _query,
        _CONTRACT,
        shapes=("anthropic",),
    ),
    Scenario(
        "head-root", "HEAD / is tolerated", "contract", _root, _CONTRACT, shapes=("anthropic",)
    ),
    Scenario(
        "model-list",
        "Models are listed within 3 s, without redirect",
        "contract",
        _models,
        _CONTRACT,
        shapes=("anthropic",),
    ),
    Scenario(
        "count-tokens",
        "Tokens are counted",
        "contract",
        _count,
        _CONTRACT,
        shapes=("anthropic",),
    ),
    Scenario(
        "no-redirect",
        "A self-hosted gateway answers itself, without redirect",
        "contract",
        _no_redirect,
        ("Helicone #5501", "Helicone #4695", "Helicone #3549"),
    ),
)
