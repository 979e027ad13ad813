"""Edits to JSON text, comments and trailing commas allowed, that leave every other character where it was."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from metis.clients.client import Item, Step
from metis.errors import ConfigError

_TOKEN: Final = re.compile(
    r'(?P<blank>(?:\s+|//[^\n]*|/\*.*?\*/)+)|(?P<string>"(?:[^"\\\n]|\\.)*")'
    r"|(?P<word>[^\s{}\[\],:/\"]+)|(?P<mark>[{}\[\],:])",
    re.DOTALL,
)
_MAX_DEPTH: Final = 100


class Absent:
    """What a path that is not there holds."""


ABSENT: Final = Absent()


@dataclass(slots=True)
class _Node:
    """A value in the text: [start, end). Members of objects keep where their key begins."""

    start: int
    end: int = 0
    kind: str = "scalar"
    keys: list[str] = field(default_factory=list[str])
    key_starts: list[int] = field(default_factory=list[int])
    children: list[_Node] = field(default_factory=list["_Node"])


class JsonDocument:
    """A JSON file being edited. Raises ConfigError when the text is not JSON with comments."""

    def __init__(self, text: str) -> None:
        self._text = text if text.strip() else "{}\n"
        self._root = _Parser(self._text).document()
        if self._root.kind != "object":
            raise ConfigError("the file holds no JSON object")

    def render(self) -> str:
        return self._text

    def get(self, path: Sequence[Step]) -> Any:
        """The plain value at `path`, ABSENT when there is none."""
        node = self._find(path)
        return ABSENT if node is None else self._plain(node)

    def set(self, path: Sequence[Step], value: Any) -> None:
        """Put `value` at `path`; objects and list items on the way are made."""
        node, depth = self._deepest(path)
        if depth == len(path):
            self._splice(node.start, node.end, self._written(value, self._indent_at(node.start)))
            return
        for step in reversed(path[depth + 1 :]):
            value = _wrapped(step, value)
        step = path[depth]
        if isinstance(step, Item):
            self._add(node, "array", "", {step.field: step.value} | value)
        else:
            self._add(node, "object", json.dumps(step, ensure_ascii=False) + ": ", value)

    def remove(self, path: Sequence[Step]) -> None:
        """Take away what is at `path`, with its comma."""
        parent = self._find(path[:-1])
        node = self._find(path)
        if parent is None or node is None:
            return
        index = next(i for i, child in enumerate(parent.children) if child.start == node.start)
        starts = (
            parent.key_starts if parent.kind == "object" else [c.start for c in parent.children]
        )
        if index + 1 < len(parent.children):
            self._splice(starts[index], starts[index + 1], "")
        elif index > 0:
            self._splice(parent.children[index - 1].end, node.end, "")
        else:
            self._splice(parent.start + 1, parent.end - 1, "")

    def _find(self, path: Sequence[Step]) -> _Node | None:
        node, depth = self._deepest(path)
        return node if depth == len(path) else None

    def _deepest(self, path: Sequence[Step]) -> tuple[_Node, int]:
        """The deepest existing value on the way, and how many steps lead to it."""
        node = self._root
        for depth, step in enumerate(path):
            child = self._child(node, step)
            if child is None:
                return node, depth
            node = child
        return node, len(path)

    def _child(self, node: _Node, step: Step) -> _Node | None:
        if isinstance(step, Item):
            for child in node.children if node.kind == "array" else ():
                found = self._child(child, step.field)
                if found is not None and self._plain(found) == step.value:
                    return child
            return None
        # JSON parsers take the last of doubled keys.
        found = None
        if node.kind == "object":
            for key, child in zip(node.keys, node.children, strict=True):
                found = child if key == step else found
        return found

    def _plain(self, node: _Node) -> Any:
        match node.kind:
            case "object":
                pairs = zip(node.keys, node.children, strict=True)
                return {key: self._plain(child) for key, child in pairs}
            case "array":
                return [self._plain(child) for child in node.children]
            case _:
                return json.loads(self._text[node.start : node.end])

    def _add(self, node: _Node, kind: str, key: str, value: Any) -> None:
        if node.kind != kind:
            raise ConfigError(
                f"expected an {kind} where {self._text[node.start : node.end][:40]!r} stands"
            )
        outer = self._indent_at(node.start)
        if not node.children:
            inner = outer + self._unit()
            body = f"\n{inner}{key}{self._written(value, inner)}\n{outer}"
            self._splice(node.start + 1, node.end - 1, body)
            return
        first = node.key_starts[0] if kind == "object" else node.children[0].start
        lines = self._text[node.start : first]
        end = node.children[-1].end
        if "\n" in lines:
            inner = lines.rpartition("\n")[2]
            inner = inner if inner.isspace() else outer + self._unit()
            self._splice(end, end, f",\n{inner}{key}{self._written(value, inner)}")
        else:
            self._splice(end, end, f", {key}{json.dumps(value, ensure_ascii=False)}")

    def _written(self, value: Any, indent: str) -> str:
        text = json.dumps(value, ensure_ascii=False, indent=self._unit())
        return text.replace("\n", "\n" + indent)

    def _unit(self) -> str:
        """One step of the file's own indentation."""
        found = re.search(r"\n([ \t]+)\S", self._text)
        return (
            "\t" if found and found[1].startswith("\t") else " " * (len(found[1]) if found else 2)
        )

    def _indent_at(self, position: int) -> str:
        line = self._text[self._text.rfind("\n", 0, position) + 1 : position]
        return line[: len(line) - len(line.lstrip())]

    def _splice(self, start: int, end: int, text: str) -> None:
        self._text = self._text[:start] + text + self._text[end:]
        self._root = _Parser(self._text).document()


def _wrapped(step: Step, value: Any) -> Any:
    """The value one step further out."""
    if isinstance(step, Item):
        return [{step.field: step.value} | value]
    return {step: value}


class _Parser:
    """Find the spans of all values."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def document(self) -> _Node:
        self._blank()
        node = self._value(0)
        self._blank()
        if self._at != len(self._text):
            self._fail("text after the end of the JSON value")
        return node

    def _value(self, depth: int) -> _Node:
        if depth > _MAX_DEPTH:
            self._fail("nested too deeply")
        start = self._at
        match self._text[start : start + 1]:
            case "{":
                return self._members(_Node(start, kind="object"), "}", depth)
            case "[":
                return self._members(_Node(start, kind="array"), "]", depth)
            case _:
                token = _TOKEN.match(self._text, start)
                if token is None or token.lastgroup not in ("string", "word"):
                    self._fail("a value is missing")
                self._at = token.end()
                try:
                    json.loads(token[0])
                except ValueError:
                    self._at = start
                    self._fail(f"{token[0][:40]!r} is no JSON value")
                return _Node(start, token.end())

    def _members(self, node: _Node, closing: str, depth: int) -> _Node:
        self._at += 1
        while True:
            self._blank()
            if self._text[self._at : self._at + 1] == closing:
                break
            if node.kind == "object":
                self._key(node)
            node.children.append(self._value(depth + 1))
            self._blank()
            mark = self._text[self._at : self._at + 1]
            if mark == ",":
                self._at += 1
            elif mark != closing:
                self._fail(f"expected ',' or {closing!r}")
        self._at += 1
        node.end = self._at
        return node

    def _key(self, node: _Node) -> None:
        token = _TOKEN.match(self._text, self._at)
        if token is None or token.lastgroup != "string":
            self._fail("expected a key in double quotes")
        node.key_starts.append(self._at)
        node.keys.append(json.loads(token[0]))
        self._at = token.end()
        self._blank()
        if self._text[self._at : self._at + 1] != ":":
            self._fail("expected ':'")
        self._at += 1
        self._blank()

    def _blank(self) -> None:
        token = _TOKEN.match(self._text, self._at)
        if token is not None and token.lastgroup == "blank":
            self._at = token.end()

    def _fail(self, reason: str) -> NoReturn:
        line = self._text.count("\n", 0, self._at) + 1
        raise ConfigError(f"line {line}: {reason}")
