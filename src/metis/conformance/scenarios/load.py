"""Large requests at a modest rate: the short form of what users report from production."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import Counter
from typing import Final

from metis.conformance.client import NoAnswer, send
from metis.conformance.json_values import Json
from metis.conformance.judging import check, equal
from metis.conformance.neutral import Answer, Prompt
from metis.conformance.scenario import Scenario
from metis.conformance.stage import Stage
from metis.conformance.upstream import say

_COUNT: Final = 30
_PER_SECOND: Final = 10
_BYTES: Final = 750_000  # a megabyte in base64


def _picture() -> str:
    """Bytes that do not compress, the same every time."""
    blocks = (hashlib.sha256(n.to_bytes(4, "big")).digest() for n in range(_BYTES // 32 + 1))
    return base64.b64encode(b"".join(blocks)[:_BYTES]).decode()


def _with_picture(stage: Stage, data: str) -> Json:
    url = f"data:image/png;base64,{data}"
    source = {"type": "base64", "media_type": "image/png", "data": data}
    picture: dict[str, Json] = {
        "anthropic": {"type": "image", "source": source},
        "openai": {"type": "image_url", "image_url": {"url": url}},
        "responses": {"type": "input_image", "image_url": url},
    }
    kind = "input_text" if stage.shape.name == "responses" else "text"
    body = stage.body_of(Prompt())
    field = "input" if stage.shape.name == "responses" else "messages"
    words = {"type": kind, "text": f"What is it? ({stage.word})"}
    body[field][0]["content"] = [words, picture[stage.shape.name]]
    return body


async def _large(stage: Stage) -> None:
    data = _picture()
    outgoing = stage.outgoing(_with_picture(stage, data))
    stage.play(say(Answer(text="A picture.")))

    async def one(number: int) -> str:
        await asyncio.sleep(number / _PER_SECOND)
        try:
            reply = await send(stage.target.url, outgoing, most_s=stage.target.timeout_s)
        except NoAnswer as exc:
            return str(exc)
        return str(reply.status)

    came = Counter(await asyncio.gather(*(one(number) for number in range(_COUNT))))
    equal("the answers", dict(came), {"200": _COUNT})
    images = stage.asked().images
    check(len(images) == 1 and images[0].endswith(data), "the picture's bytes", len(images))


LOAD: Final = (
    Scenario(
        "large-bodies",
        "30 bodies of 1 MB, 10 a second, are all answered",
        "load",
        _large,
        ("LiteLLM #13546", "LiteLLM #21046"),
    ),
)
