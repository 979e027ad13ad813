"""What is wrong with a configuration: the first fault, its place and its remedy. Only runs when decoding failed."""

from __future__ import annotations

import difflib
import types
from collections.abc import Mapping, Sequence
from typing import (
    Any,
    Final,
    Literal,
    NamedTuple,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

_SECRET_NAMES: Final = frozenset(
    {"api_key", "apikey", "key", "token", "secret", "password", "auth_token", "access_token"}
)
_CREDENTIAL_HEADERS: Final = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"}
)


# What TOML's readers call the types.
_PLAIN_WORDS: Final = {
    "int": "a whole number",
    "float": "a number",
    "str": "text in quotes",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "decimal": "a number",
}


class Fault(NamedTuple):
    """`path` are the steps to the offending setting."""

    path: tuple[str, ...]
    message: str


def find_fault(data: object, wanted: Any, path: tuple[str, ...] = ()) -> Fault | None:
    """Walk data against a type; None when all of it fits."""
    origin = get_origin(wanted)
    if origin in (Union, types.UnionType):
        return _in_union(data, wanted, path)
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
        return _in_struct(data, wanted, path)
    if origin is dict:
        return _in_dict(data, get_args(wanted)[1], path)
    if origin is tuple and isinstance(data, list):
        return _in_items(cast("list[object]", data), get_args(wanted)[0], path)
    return _in_leaf(data, wanted, path)


def find_credential_header(headers: Mapping[str, str]) -> str | None:
    """The first header that would put a secret into the file."""
    return next((name for name in headers if name.lower() in _CREDENTIAL_HEADERS), None)


def _in_union(data: object, wanted: Any, path: tuple[str, ...]) -> Fault | None:
    members = [m for m in get_args(wanted) if m is not types.NoneType]
    return find_fault(data, members[0], path) if len(members) == 1 else _in_leaf(data, wanted, path)


def _in_struct(data: object, wanted: type[msgspec.Struct], path: tuple[str, ...]) -> Fault | None:
    if not isinstance(data, dict):
        return Fault(path, f"must be a table, as in [{dotted(path)}]")
    given = cast("dict[str, object]", data)
    hints = get_type_hints(wanted, include_extras=True)
    known = dict(zip(wanted.__struct_encode_fields__, wanted.__struct_fields__, strict=True))
    for name in given:
        if name not in known:
            return Fault((*path, name), _unknown(name, tuple(known), path))
    for name, value in given.items():
        fault = find_fault(value, hints[known[name]], (*path, name))
        if fault is not None:
            return fault
    required = [f.encode_name for f in msgspec.structs.fields(wanted) if f.required]
    for name in required:
        if name not in given:
            return Fault(path, f"needs {name!r}")
    return _in_leaf(given, wanted, path)


def _in_dict(data: object, wanted: Any, path: tuple[str, ...]) -> Fault | None:
    if not isinstance(data, dict):
        return Fault(path, f"must be a table, as in [{dotted(path)}]")
    given = cast("dict[str, object]", data)
    for name, value in given.items():
        fault = find_fault(value, wanted, (*path, name))
        if fault is not None:
            return fault
    return None


def _in_items(data: list[object], wanted: Any, path: tuple[str, ...]) -> Fault | None:
    for index, value in enumerate(data):
        fault = find_fault(value, wanted, (*path, str(index)))
        if fault is not None:
            return fault
    return None


def _in_leaf(data: object, wanted: Any, path: tuple[str, ...]) -> Fault | None:
    try:
        msgspec.convert(data, wanted)
    except msgspec.ValidationError as exc:
        reason = str(exc).partition(" - at ")[0].replace("`", "")
        choices = _choices(wanted)
        if choices:
            reason = "must be one of " + ", ".join(map(repr, choices))
        elif reason.startswith("Expected "):
            wished = reason.removeprefix("Expected ").partition(", got ")[0].replace(" | null", "")
            reason = "must be " + " ".join(_PLAIN_WORDS.get(word, word) for word in wished.split())
        shown = "" if isinstance(data, dict | list) else f", not {_shown(data)}"
        return Fault(path, reason + shown)
    return None


def _choices(wanted: Any) -> tuple[object, ...]:
    """What a Literal, or a union with None, allows."""
    if get_origin(wanted) is Literal:
        return get_args(wanted)
    return tuple(choice for member in get_args(wanted) for choice in _choices(member))


def _unknown(name: str, known: Sequence[str], path: tuple[str, ...]) -> str:
    place = f"[{dotted(path)}]" if path else "metis.toml"
    if name.lower() in _SECRET_NAMES:
        if "api_key_env" in known:
            return (
                f"{name!r} in {place} would put a secret into this file; name the environment variable "
                "that holds it with api_key_env, or a file with api_key_file"
            )
        return f"{name!r} in {place} would put a secret into this file; secrets stand in variables or files"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    remedy = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
    return f"unknown field {name!r} in {place}; {remedy}"


def dotted(path: Sequence[str]) -> str:
    """A path as metis.toml writes it in a header; indices into lists are left out."""
    return ".".join(step for step in path if not step.isdigit())


def _shown(data: object) -> str:
    text = repr(data)
    return text if len(text) <= 60 else text[:57] + "..."
