"""Files of other tools, opened for editing by their format. Reading and writing the disk is `connecting`'s."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, MutableMapping, MutableSequence, Sequence
from typing import Any, Final, Literal, Protocol, cast

import tomlkit
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from tomlkit.exceptions import TOMLKitError

from metis.cli.editing.jsonc import ABSENT, JsonDocument
from metis.clients.client import Item, Step
from metis.errors import ConfigError

_ENV_LINE: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)")
_PLAIN_VALUE: Final = re.compile(r"[A-Za-z0-9_./:@%+,-]*")


class Document(Protocol):
    """A configuration file's contents. `get` gives plain values, ABSENT for nothing."""

    def get(self, path: Sequence[Step]) -> Any: ...

    def set(self, path: Sequence[Step], value: Any) -> None: ...

    def remove(self, path: Sequence[Step]) -> None: ...

    def render(self) -> str: ...


def open_document(text: str, format: Literal["json", "toml", "yaml", "env"]) -> Document:
    """Parse a file's text. Raises ConfigError when it is not of that format."""
    match format:
        case "json":
            return JsonDocument(text)
        case "toml":
            return TomlDocument(text)
        case "yaml":
            return YamlDocument(text)
        case "env":
            return EnvDocument(text)


class _Tree:
    """What TOML and YAML have in common: containers that are edited in place and keep their comments.

    `new_table` makes an empty table for a depth in the file (1: top level).
    """

    def __init__(self, root: Any, new_table: Callable[[int], Any]) -> None:
        self.root = root
        self._new_table = new_table

    def get(self, path: Sequence[Step]) -> Any:
        node = self._find(path)
        return ABSENT if node is ABSENT else _plain(node)

    def set(self, path: Sequence[Step], value: Any) -> None:
        """Put `value` at `path`, whose last step is a name; tables and items on the way are made."""
        node: Any = self.root
        for depth, step in enumerate(path[:-1], start=1):
            child = _child(node, step)
            if child is ABSENT:
                child = self._made(node, step, path[depth], depth)
            node = child
        name = path[-1]
        if not isinstance(node, MutableMapping) or isinstance(name, Item):
            raise ConfigError(f"{name!r} cannot be set: what holds it is no table")
        cast("MutableMapping[str, Any]", node)[name] = value

    def remove(self, path: Sequence[Step]) -> None:
        node, last = self._find(path[:-1]), path[-1]
        if isinstance(last, Item):
            child = _child(node, last)
            if child is not ABSENT:
                cast("MutableSequence[Any]", node).remove(child)
        elif isinstance(node, MutableMapping):
            cast("MutableMapping[str, Any]", node).pop(last, None)

    def _find(self, path: Sequence[Step]) -> Any:
        node: Any = self.root
        for step in path:
            node = _child(node, step)
        return node

    def _made(self, node: Any, step: Step, following: Step, depth: int) -> Any:
        """Make the container at `step`: a list where items follow, else a table."""
        made: Any = [] if isinstance(following, Item) else self._new_table(depth)
        if isinstance(step, Item):
            made[step.field] = step.value
            cast("MutableSequence[Any]", node).append(made)
        elif isinstance(node, MutableMapping):
            cast("MutableMapping[str, Any]", node)[step] = made
        else:
            raise ConfigError(f"{step!r} cannot be made: what holds it is no table")
        return _child(cast("Any", node), step)


class TomlDocument(_Tree):
    """A TOML file; comments, order and layout stay."""

    def __init__(self, text: str) -> None:
        try:
            root = tomlkit.parse(text)
        except TOMLKitError as exc:
            raise ConfigError(str(exc)) from exc
        # [model_providers] itself holds nothing: only [model_providers.metis] is written.
        super().__init__(root, lambda depth: tomlkit.table(is_super_table=depth == 1))

    def render(self) -> str:
        return tomlkit.dumps(self.root)


class YamlDocument(_Tree):
    """A YAML file; comments and order stay, indentation as the file has it."""

    def __init__(self, text: str) -> None:
        self._yaml = YAML()
        self._yaml.preserve_quotes = True
        self._yaml.width = 4096
        outdented = re.search(r"^( *)[\w-]+:[ \t]*\n\1- ", text, re.MULTILINE)
        if outdented:
            self._yaml.indent(mapping=2, sequence=2, offset=0)
        else:
            self._yaml.indent(mapping=2, sequence=4, offset=2)
        try:
            root = self._yaml.load(text)
        except YAMLError as exc:
            raise ConfigError(" ".join(str(exc).split())) from exc
        if root is not None and not isinstance(root, MutableMapping):
            raise ConfigError("the file holds no YAML mapping")
        super().__init__({} if root is None else root, lambda depth: {})

    def render(self) -> str:
        text = io.StringIO()
        self._yaml.dump(self.root, text)
        return text.getvalue()


class EnvDocument:
    """A file of `NAME=value` lines, as shells and dotenv readers take them; paths have one step."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()

    def get(self, path: Sequence[Step]) -> Any:
        index = self._index(path)
        if index is None:
            return ABSENT
        found = _ENV_LINE.match(self._lines[index])
        raw = found[2].strip() if found else ""
        if len(raw) >= 2 and raw[0] == raw[-1] and raw[0] in "'\"":
            return raw[1:-1]
        return raw

    def set(self, path: Sequence[Step], value: Any) -> None:
        shown = str(value)
        if not _PLAIN_VALUE.fullmatch(shown):
            shown = "'" + shown.replace("'", "'\\''") + "'"
        index = self._index(path)
        if index is None:
            self._lines.append(f"{path[0]}={shown}")
        else:
            self._lines[index] = f"{path[0]}={shown}"

    def remove(self, path: Sequence[Step]) -> None:
        index = self._index(path)
        if index is not None:
            del self._lines[index]

    def render(self) -> str:
        return "".join(line + "\n" for line in self._lines)

    def _index(self, path: Sequence[Step]) -> int | None:
        """The line that counts: the last one, as for a shell."""
        found = None
        for index, line in enumerate(self._lines):
            match = _ENV_LINE.match(line)
            if match and match[1] == path[0]:
                found = index
        return found


def _child(node: Any, step: Step) -> Any:
    if isinstance(step, Item):
        for child in cast("Sequence[Any]", node) if isinstance(node, list) else ():
            if isinstance(child, MutableMapping):
                table = cast("MutableMapping[str, Any]", child)
                if table.get(step.field) == step.value:
                    return table
        return ABSENT
    if isinstance(node, MutableMapping):
        return cast("MutableMapping[str, Any]", node).get(step, ABSENT)
    return ABSENT


def _plain(node: Any) -> Any:
    """A container of tomlkit or ruamel as Python's own."""
    if isinstance(node, MutableMapping):
        return {str(k): _plain(v) for k, v in cast("MutableMapping[Any, Any]", node).items()}
    if isinstance(node, list):
        return [_plain(item) for item in cast("list[Any]", node)]
    return node.unwrap() if hasattr(node, "unwrap") else node
