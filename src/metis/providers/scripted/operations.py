"""The answers to what is no generation: token counts, embeddings, legacy completions."""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import Any, Final, cast

import msgspec

from metis.facts.usage import Usage
from metis.providers.scripted.bodies import (
    CREATED,
    EVENT_STREAM,
    JSON,
    failing,
    halves,
    headers_of,
    raw_body,
)
from metis.providers.scripted.echo import tokens_of, usage_of_lengths
from metis.providers.scripted.performance import Answer
from metis.providers.scripted.question import Question
from metis.providers.scripted.script import ScriptedReply

_DIMENSIONS: Final = 8
_MOST_DIMENSIONS: Final = 4096


def answer_to(reply: ScriptedReply, question: Question, number: int) -> Answer:
    """The answer of a question that is no generation."""
    if reply.status >= 400:
        return failing(reply, question.shape, number)
    headers = headers_of(reply, number)
    if reply.body is not None:
        body = raw_body(reply)
    elif question.operation == "count_tokens":
        counted = reply.usage.input_tokens if reply.usage else tokens_of(len(question.body))
        body = msgspec.json.encode({"input_tokens": counted})
    elif question.operation == "embeddings":
        body = _embeddings(reply, question)
    else:
        return _completion(reply, question, number)
    return Answer(status=200, headers=[*headers, JSON], pieces=halves(body))


def _embeddings(reply: ScriptedReply, question: Question) -> bytes:
    """One vector an input, the same for the same input: unit length, from a digest of it."""
    fields = question.fields
    wanted = fields.get("dimensions")
    dimensions = min(wanted, _MOST_DIMENSIONS) if isinstance(wanted, int) else _DIMENSIONS
    as_base64 = fields.get("encoding_format") == "base64"
    inputs = _inputs(fields.get("input"))
    data: list[dict[str, Any]] = []
    for index, one in enumerate(inputs):
        vector = _vector(one, dimensions)
        packed = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode()
        embedding: Any = packed if as_base64 else vector
        data.append({"object": "embedding", "index": index, "embedding": embedding})
    read = reply.usage.input_tokens if reply.usage else sum(tokens_of(len(one)) for one in inputs)
    usage = {"prompt_tokens": read, "total_tokens": read}
    whole = {"object": "list", "data": data, "model": question.model, "usage": usage}
    return msgspec.json.encode(whole)


def _inputs(given: object) -> list[bytes]:
    """Each input as bytes: a text, or a list of token numbers; one alone counts as a list of one."""
    if not isinstance(given, list):
        return [msgspec.json.encode(given)]
    items = cast(list[Any], given)
    if items and isinstance(items[0], int):
        return [msgspec.json.encode(items)]
    return [msgspec.json.encode(item) for item in items]


def _vector(source: bytes, dimensions: int) -> list[float]:
    raw = b"".join(
        hashlib.blake2b(source, digest_size=64, salt=block.to_bytes(4, "little")).digest()
        for block in range(-(-dimensions * 2 // 64))
    )
    numbers = [value / 32768 for value in struct.unpack(f"<{dimensions}h", raw[: dimensions * 2])]
    length = sum(number * number for number in numbers) ** 0.5 or 1.0
    return [number / length for number in numbers]


def _completion(reply: ScriptedReply, question: Question, number: int) -> Answer:
    """The legacy Completions API: https://platform.openai.com/docs/api-reference/completions."""
    prompt = question.fields.get("prompt")
    text = reply.text if reply.text is not None else f"You said: {prompt}"
    said = msgspec.structs.replace(reply, text=text)
    usage = _completion_usage(reply.usage or usage_of_lengths(question.body, said))
    head = {
        "id": reply.response_id or f"cmpl-scripted-{number}",
        "object": "text_completion",
        "created": CREATED,
        "model": question.model,
    }
    finish = "length" if reply.stop == "max_tokens" else "stop"
    headers = headers_of(reply, number)
    if not question.stream:
        whole = {**head, "choices": [_choice(text, finish)], "usage": usage}
        return Answer(
            status=200, headers=[*headers, JSON], pieces=halves(msgspec.json.encode(whole))
        )
    size = reply.chunk_characters
    texts = [text[start : start + size] for start in range(0, len(text), size)]
    chunks: list[dict[str, Any]] = [{**head, "choices": [_choice(piece, None)]} for piece in texts]
    chunks.append({**head, "choices": [_choice("", finish)]})
    options = question.fields.get("stream_options")
    if isinstance(options, dict) and cast(dict[str, Any], options).get("include_usage") is True:
        chunks.append({**head, "choices": [], "usage": usage})
    pieces = [b"data: %b\n\n" % msgspec.json.encode(chunk) for chunk in chunks]
    return Answer(
        status=200,
        headers=[*headers, EVENT_STREAM],
        pieces=(*pieces, b"data: [DONE]\n\n"),
        stream_error=b'data: {"error":{"message":"scripted error","type":"server_error"}}\n\n',
    )


def _choice(text: str, finish: str | None) -> dict[str, Any]:
    return {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}


def _completion_usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens},
    }
