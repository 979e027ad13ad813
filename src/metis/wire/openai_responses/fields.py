"""Reading untrusted JSON by field, with a JSON path in every complaint. What the fields mean lives beside."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from metis.errors import CodecError
from metis.wire.json_faults import fault_of

Json = dict[str, Any]

SHAPE: Final = "openai_responses"

_KINDS: Final = {
    "NoneType": "null",
    "bool": "a boolean",
    "int": "a number",
    "float": "a number",
    "str": "a string",
    "list": "a list",
    "dict": "an object",
}


def parse_object(body: bytes, what: str) -> Json:
    """Decode a JSON object. Raises CodecError when `body` is anything else."""
    try:
        value: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise CodecError(f"{what} is not valid JSON: {fault_of(body, exc)}") from exc
    return as_object(value, "", what)


def as_object(value: Any, where: str, what: str = "") -> Json:
    if not isinstance(value, dict):
        raise CodecError(f"{what or 'it'} must be an object, not {kind_of(value)}", where=where)
    return value  # pyright: ignore[reportUnknownVariableType]  # JSON objects have string keys


def as_list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise CodecError(f"it must be a list, not {kind_of(value)}", where=where)
    return value  # pyright: ignore[reportUnknownVariableType]  # elements are checked one by one


def text_field(raw: Json, key: str, where: str) -> str:
    """A field that must be there and be a string."""
    value = raw.get(key)
    if isinstance(value, str):
        return value
    if key not in raw:
        raise CodecError("a required field is missing", where=under(where, key))
    raise CodecError(f"it must be a string, not {kind_of(value)}", where=under(where, key))


def text_or_none(raw: Json, key: str, where: str) -> str | None:
    """A string, or None where the field is absent or null."""
    value = raw.get(key)
    if value is None or isinstance(value, str):
        return value
    raise CodecError(f"it must be a string, not {kind_of(value)}", where=under(where, key))


def bool_or_none(raw: Json, key: str, where: str) -> bool | None:
    value = raw.get(key)
    if value is None or isinstance(value, bool):
        return value
    raise CodecError(f"it must be true or false, not {kind_of(value)}", where=under(where, key))


def int_or_none(raw: Json, key: str, where: str) -> int | None:
    value = raw.get(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise CodecError(f"it must be a whole number, not {kind_of(value)}", where=under(where, key))


def number_or_none(raw: Json, key: str, where: str) -> float | None:
    value = raw.get(key)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise CodecError(f"it must be a number, not {kind_of(value)}", where=under(where, key))


def object_or_none(raw: Json, key: str, where: str) -> Json | None:
    value = raw.get(key)
    return None if value is None else as_object(value, under(where, key))


def list_or_none(raw: Json, key: str, where: str) -> list[Any] | None:
    value = raw.get(key)
    return None if value is None else as_list(value, under(where, key))


def object_or_empty(value: Any) -> Json:
    """For what is read on the way: anything that is no object counts as an empty one."""
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]  # JSON


def list_or_empty(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]  # JSON


def under(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def kind_of(value: Any) -> str:
    return _KINDS.get(type(value).__name__, type(value).__name__)


def leftover(raw: Json, encoded: Json) -> Json:
    """The fields of `raw` that `encoded` does not say in the same words: a node's `extras`.

    Encoders write `{**encoded, **extras}`, so decoding and encoding again gives `raw` as long as
    `encoded` holds no field that `raw` lacks: own-shape encoders therefore write no defaults.
    """
    return {key: value for key, value in raw.items() if key not in encoded or encoded[key] != value}
