"""Recorded exchanges, one JSON object a line: which there are, and which a shape of ours can read. No checks here."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeGuard, cast

from corpus import invoked
from metis.wire import UPSTREAM_SHAPES
from metis.wire.bedrock_converse import BEDROCK_CONVERSE
from metis.wire.codec import ShapeName, UpstreamShape

Json = dict[str, Any]

_SHAPE_OF: Final[dict[str, ShapeName]] = {
    "anthropic.messages": "anthropic_messages",
    "openai.chat": "openai_chat",
    "openai.responses": "openai_responses",
    "bedrock.converse": "bedrock_converse",
    "vertex.anthropic": "anthropic_messages",
    "google.generate_content": "google_generate_content",
}
_BY_NAME: Final[dict[str, UpstreamShape]] = {shape.name: shape for shape in UPSTREAM_SHAPES}
# An answer of 400 that says so was given to a request that is none of its API.
_ANSWER_FIELDS: Final = frozenset({"content", "choices", "output", "candidates"})
_MALFORMED: Final = "expected shape"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One exchange: bodies of request and answer, or the bytes of an event stream; None where there is none.

    `shape` is the one that reads it, None where there is none yet.
    """

    name: str
    api: str
    shape: UpstreamShape | None
    features: tuple[str, ...]
    request: Json | None
    status: int
    answer: Json | None
    stream: bytes | None


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
    stream = stream.encode() if stream else None
    if "eventstream_b64" in response:
        stream = base64.b64decode(response["eventstream_b64"])
    if stream is None and isinstance(answer, list):
        stream = json.dumps(answer, indent=2, ensure_ascii=False).encode()
    shape = _BY_NAME.get(_SHAPE_OF.get(raw["api"], ""))
    if raw["api"] == "bedrock.invoke":
        shape = invoked.shape_of(body)
        if shape is BEDROCK_CONVERSE and stream:
            stream = invoked.converse_frames(stream)
    return Record(
        name=raw["id"],
        api=raw["api"],
        shape=shape,
        features=tuple(raw.get("features", ())),
        request=body if isinstance(body, dict) else None,
        status=response["status"],
        answer=answer if _is_answer(answer) else None,
        stream=stream,
    )
