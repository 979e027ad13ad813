"""Reading JSON objects field by field, so that what nobody takes stays over as extras. No shape knowledge lives here.

A field is taken only when its value has the right type and is not null: a null stays in `rest`, and
goes out again as it came. Where a wrong type stands, a strict reader raises CodecError with the path,
a lenient one (answers of upstreams, which are what they are) leaves it in `rest` too.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from metis.errors import CodecError
from metis.wire.json_faults import fault_of

Object = dict[str, Any]

_KINDS: dict[type, str] = {
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def load(body: bytes, what: str) -> Any:
    """Decode JSON text. Raises CodecError naming `what` when it is none, or nested absurdly deep."""
    try:
        return msgspec.json.decode(body)
    except RecursionError as exc:
        raise CodecError(f"{what} is nested too deeply") from exc
    except ValueError as exc:  # msgspec's own errors and invalid UTF-8 alike
        raise CodecError(f"{what} is not valid JSON: {fault_of(body, exc)}") from exc


def load_object(body: bytes, what: str) -> Object:
    """Decode JSON text that must be an object. Raises CodecError."""
    value = load(body, what)
    if not isinstance(value, dict):
        raise CodecError(f"{what} must be a JSON object, not {kind_of(value)}")
    return cast(Object, value)


def dump(value: Any) -> bytes:
    """Encode as compact JSON. Raises CodecError for what JSON text cannot hold."""
    try:
        return msgspec.json.encode(value)
    except (ValueError, TypeError, OverflowError, RecursionError) as exc:
        raise CodecError(f"the value cannot be written as JSON: {exc}") from exc


def dump_text(value: Any) -> str:
    return dump(value).decode("utf-8")


def kind_of(value: object) -> str:
    return _KINDS.get(type(value), type(value).__name__)


def is_object(value: object) -> bool:
    return isinstance(value, dict)


def as_object(value: object, where: str) -> Object:
    """The value as an object. Raises CodecError at `where`."""
    if not isinstance(value, dict):
        raise CodecError(f"expected an object, got {kind_of(value)}", where=where)
    return cast(Object, value)


class Fields:
    """Take known fields out of a copy of `value`; what is left over is in `rest`."""

    __slots__ = ("_strict", "_where", "rest")

    def __init__(self, value: Object, where: str = "", *, strict: bool = True) -> None:
        self.rest: Object = dict(value)
        self._where = where
        self._strict = strict

    def path(self, key: str) -> str:
        return f"{self._where}.{key}" if self._where else key

    def text(self, key: str) -> str | None:
        value = self.rest.get(key)
        if isinstance(value, str):
            del self.rest[key]
            return value
        self._refuse(key, value, "a string")
        return None

    def filled_text(self, key: str) -> str | None:
        """A string that says something; an empty one stays in `rest`."""
        return self.text(key) if self.rest.get(key) != "" else None

    def integer(self, key: str) -> int | None:
        value = self.rest.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            del self.rest[key]
            return value
        self._refuse(key, value, "a whole number")
        return None

    def number(self, key: str) -> float | None:
        value = self.rest.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            del self.rest[key]
            return value
        self._refuse(key, value, "a number")
        return None

    def flag(self, key: str) -> bool | None:
        value = self.rest.get(key)
        if isinstance(value, bool):
            del self.rest[key]
            return value
        self._refuse(key, value, "true or false")
        return None

    def listing(self, key: str) -> list[Any] | None:
        """A list with something in it; an empty one stays in `rest`."""
        value = self.rest.get(key)
        if isinstance(value, list):
            if not value:
                return None
            del self.rest[key]
            return cast(list[Any], value)
        self._refuse(key, value, "a list")
        return None

    def mapping(self, key: str) -> Object | None:
        value = self.rest.get(key)
        if isinstance(value, dict):
            del self.rest[key]
            return cast(Object, value)
        self._refuse(key, value, "an object")
        return None

    def _refuse(self, key: str, value: object, wanted: str) -> None:
        if self._strict and value is not None:
            raise CodecError(f"expected {wanted}, got {kind_of(value)}", where=self.path(key))
