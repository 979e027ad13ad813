"""What is known of a client tool, as values: how it is recognised, what it says, how it is pointed at a gateway.

No tool is named here (each has its own file) and nothing is read or written: a recipe says which files
get which settings, `cli` puts them there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import msgspec

from metis.facts.identity import SessionFacts

Headers = Mapping[bytes, bytes]
"""Header values by lower-cased name."""
Fields = Mapping[str, msgspec.Raw]
"""A request body's top-level fields as raw JSON slices."""
ReadSession = Callable[[Headers, Fields, str], SessionFacts]
"""Read a request's headers, fields and path into what the client says of itself. Never raises."""

MAX_TEXT: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """Where a tool is pointed, as its recipe needs it.

    `url` is the root, without `/v1` or a trailing slash. `key` is the plaintext key, "" while there is
    none; `key_file` the 0600 file that holds it, `key_env` the variable it is read from instead ("" for
    neither). `model` is the default model for tools that cannot start without one. `home` is
    the user's home directory and `environ` the environment, for tools whose files can be moved by a variable.
    """

    url: str
    key: str = ""
    key_file: str = ""
    key_env: str = ""
    model: str = ""
    home: str = "~"
    environ: Mapping[str, str]

    @property
    def v1(self) -> str:
        """The base URL as OpenAI-style tools want it."""
        return f"{self.url}/v1"

    def directory(self, variable: str, usual: str) -> str:
        """A tool's directory: what `variable` says, else `usual` below the home directory."""
        return self.environ.get(variable) or f"{self.home}/{usual}"


@dataclass(frozen=True, slots=True)
class Item:
    """A path's step into a list: the item whose `field` equals `value`; it is appended when there is none."""

    field: str
    value: str


class Removed:
    """The value of a setting that must not be there."""


REMOVED: Final = Removed()

Step = str | Item
Json = str | int | float | bool | list["Json"] | dict[str, "Json"] | None


@dataclass(frozen=True, slots=True)
class Setting:
    """One value at a path in a configuration file. `keep`: a value that is there already stays."""

    path: tuple[Step, ...]
    value: Json | Removed
    keep: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEdit:
    """Settings merged into one file; what else is in it stays. `secret`: the key ends up inside, so mode 0600."""

    path: str
    format: Literal["json", "toml", "yaml", "env"]
    settings: tuple[Setting, ...]
    secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that a tool needs. Files are edited with `--write`; `environment` and `notes` are shown.

    `by_hand`: the tool keeps its settings where no file edit reaches, so `--write` is refused
    with this sentence. `key_place` says in a sentence where the key ends up.
    """

    files: tuple[FileEdit, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    by_hand: str = ""
    key_place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How one run of a tool is pointed at a gateway without touching its configuration.

    `environment` is set, `unset` removed. `arguments` go right after the command's name. `files` are
    written (0600) below a private directory, whose path stands for `{private}` in arguments and
    environment. `conflicts`: with one of these flags in the command, arguments and files are left out.
    """

    environment: tuple[tuple[str, str], ...] = ()
    unset: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    conflicts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One client tool.

    `name` stands in the ledger, `commands` are the names of its executables and of `metis connect`, the
    first one shown. `agents` are first words of its user agent, `markers` headers that only it sends.
    `needs_model`: its configuration must name a model.
    """

    name: str
    title: str
    session: ReadSession
    agents: tuple[bytes, ...] = ()
    markers: tuple[bytes, ...] = ()
    commands: tuple[str, ...] = ()
    needs_model: bool = False
    connect: Callable[[Gateway], Recipe] | None = None
    launch: Callable[[Gateway], Launch] | None = None

    def detect(self, headers: Headers) -> bool:
        """Tell whether a request looks like this client's: by a marker header, else by the user agent."""
        if any(marker in headers for marker in self.markers):
            return True
        return agent_word(headers.get(b"user-agent", b"")) in self.agents


def agent_word(user_agent: bytes) -> bytes:
    """The first word of a user agent: `claude-cli` of `claude-cli/2.1.330 (external, cli)`."""
    return user_agent.partition(b"/")[0]


def agent_version(user_agent: bytes) -> str:
    """The first version in a user agent: 2.12.0 of `Anthropic/Python 2.12.0`, "" when there is none."""
    return _version(user_agent[:MAX_TEXT])


def text(raw: bytes | None) -> str:
    """A header's value as text: at most 200 characters, all of them printable, "" for nothing."""
    return _printable(raw[:MAX_TEXT]) if raw else ""


# The same few user agents and ids come with every request of a session; both caches are bounded by
# their entries' number and length.
@lru_cache(maxsize=512)
def _version(user_agent: bytes) -> str:
    for word in user_agent.split(b" ", 2)[:2]:
        if word[:1] == b"(":
            break
        for part in word.split(b"/"):
            if part[:1].isdigit():
                return _printable(part)
    return ""


@lru_cache(maxsize=4096)
def _printable(raw: bytes) -> str:
    value = raw.decode("utf-8", "replace")
    if not value.isprintable():
        value = "".join(filter(str.isprintable, value))
    return value.strip()
