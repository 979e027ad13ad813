"""Recorded exchanges, one JSON object a line: which there are, and which a shape of ours can read. No checks here."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeGuard, cast

from metis.wire import UPSTREAM_SHAPES
from metis.wire.codec import ShapeName, UpstreamShape

Json = dict[str, Any]

SHAPE_OF: Final[dict[str, ShapeName]] = {
    "anthropic.messages": "anthropic_messages",
    "openai.chat": "openai_chat",
    "openai.responses": "openai_responses",
    "bedrock.converse": "bedrock_converse",
}
# An answer of 400 that says so was given to a request that is none of its API.
_ANSWER_FIELDS: Final = frozenset({"content", "choices", "output"})
_MALFORMED: Final = "expected shape"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One exchange: bodies of request and answer, or the bytes of an event stream; None where there is none."""

    name: str
    api: str
    features: tuple[str, ...]
    request: Json | None
    status: int
    answer: Json | None
    stream: bytes | None

    @property
    def shape(self) -> UpstreamShape:
        wanted = SHAPE_OF[self.api]
        return next(shape for shape in UPSTREAM_SHAPES if shape.name == wanted)


def default_folder() -> Path:
    """$METIS_CORPUS, else the folder beside the repository."""
    named = os.environ.get("METIS_CORPUS")
    return Path(named) if named else Path(__file__).parents[2] / "shared" / "corpus"


def read(folder: Path) -> Iterator[Record]:
    """Every record of every *.jsonl, by file. Raises SystemExit when there are none, or a line is no record."""
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise SystemExit(
            f"no recordings (*.jsonl) in {folder}; name their folder, or set METIS_CORPUS"
        )
    for path in files:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    yield _record(json.loads(line))
                except (ValueError, KeyError, TypeError, AttributeError) as exc:
                    raise SystemExit(f"{path}:{number} is no recorded exchange: {exc!r}") from exc


def _is_answer(body: object) -> TypeGuard[Json]:
    """Whether a body is a generated answer: other endpoints of an API, such as token counts, are recorded with it."""
    return isinstance(body, dict) and not _ANSWER_FIELDS.isdisjoint(cast(Json, body))


def _record(raw: Json) -> Record:
    request, response = raw["request"], raw["response"]
    body = request["body"] if request else None
    answer = response.get("body")
    if response["status"] == 400 and _MALFORMED in str(answer):
        body = None
    stream = response.get("sse")
    framed = response.get("eventstream_b64")
    return Record(
        name=raw["id"],
        api=raw["api"],
        features=tuple(raw.get("features", ())),
        request=body if isinstance(body, dict) else None,
        status=response["status"],
        answer=answer if _is_answer(answer) else None,
        stream=base64.b64decode(framed) if framed else stream.encode() if stream else None,
    )
