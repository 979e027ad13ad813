"""Reading JSON objects field by field, with the path in every complaint. What the fields mean is not known here."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from metis.errors import CodecError
from metis.wire.json_faults import fault_of

Json = dict[str, Any]


def load_json(body: bytes) -> Any:
    """Decode a body. Raises CodecError when it is no JSON, not UTF-8, or nested beyond all reason."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise CodecError(f"the body is not valid JSON: {fault_of(body, exc)}") from exc
    except RecursionError as exc:
        raise CodecError("the body is nested too deeply") from exc


def dump_json(value: object) -> bytes:
    """Encode a value made of decoded JSON. Raises CodecError where the text has no UTF-8 form."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError as exc:
        raise CodecError(f"text that has no UTF-8 form: {exc.reason}") from exc
    except RecursionError as exc:
        raise CodecError("the body is nested too deeply") from exc


def as_object(value: object) -> Json | None:
    return cast(Json, value) if isinstance(value, dict) else None


def as_list(value: object) -> list[Any] | None:
    return cast(list[Any], value) if isinstance(value, list) else None


def join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


_KINDS: dict[type, str] = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}


def kind_of(value: object) -> str:
    """The JSON type in plain words."""
    if value is None:
        return "null"
    return _KINDS.get(type(value), "a number")


class Fields:
    """One JSON object being read: known fields are taken out, `left` are its extras.

    A field that is null counts as absent and stays in `left`, so that it goes out again as null.
    Every taker raises CodecError, with the field's path, on a value of another type.
    """

    __slots__ = ("left", "where")

    def __init__(self, value: object, where: str) -> None:
        found = as_object(value)
        if found is None:
            raise _wrong(value, "an object", where)
        self.left: Json = dict(found)
        self.where = where

    def path(self, key: str) -> str:
        return join(self.where, key)

    def text(self, key: str) -> str | None:
        value = self.left.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise _wrong(value, "a string", self.path(key))
        del self.left[key]
        return value

    def word(self, key: str) -> str:
        """A string with something in it, else "": an empty one counts as absent, like null."""
        return "" if self.left.get(key) == "" else self.text(key) or ""

    def required_text(self, key: str) -> str:
        value = self.text(key)
        if value is None:
            raise self._missing(key, "a string")
        return value

    def whole(self, key: str) -> int | None:
        value = self.left.get(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong(value, "a whole number", self.path(key))
        del self.left[key]
        return value

    def number(self, key: str) -> float | None:
        value = self.left.get(key)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise _wrong(value, "a number", self.path(key))
        del self.left[key]
        return value

    def flag(self, key: str) -> bool | None:
        value = self.left.get(key)
        if value is None:
            return None
        if not isinstance(value, bool):
            raise _wrong(value, "true or false", self.path(key))
        del self.left[key]
        return value

    def object(self, key: str) -> Json | None:
        value = self.left.get(key)
        if value is None:
            return None
        found = as_object(value)
        if found is None:
            raise _wrong(value, "an object", self.path(key))
        del self.left[key]
        return found

    def list(self, key: str) -> list[Any] | None:
        value = self.left.get(key)
        if value is None:
            return None
        found = as_list(value)
        if found is None:
            raise _wrong(value, "a list", self.path(key))
        del self.left[key]
        return found

    def required_list(self, key: str) -> list[Any]:
        found = self.list(key)
        if found is None:
            raise self._missing(key, "a list")
        return found

    def keep(self, key: str, inner: Fields) -> None:
        """Put back what nobody took of a field that is an object; one that came empty stays too."""
        came = self.left.get(key)
        if not inner.left and came not in (None, {}):
            del self.left[key]
        elif came is not None:
            self.left[key] = inner.left

    def _missing(self, key: str, wanted: str) -> CodecError:
        if key in self.left:
            return _wrong(None, wanted, self.path(key))
        return CodecError(f"is missing; it must be {wanted}", where=self.path(key))


def _wrong(value: object, wanted: str, where: str) -> CodecError:
    return CodecError(f"must be {wanted}, not {kind_of(value)}", where=where)
