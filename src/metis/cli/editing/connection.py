"""Putting a recipe's settings into a tool's files, and taking them out again.

What was there before is kept in the data directory: the whole file as a backup, and, setting by setting,
a journal. A file nobody touched since is restored byte for byte; in one that changed, only what
Metis set is undone, so that nobody loses an edit of their own.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from metis.cli.editing.document import Document, open_document
from metis.cli.editing.jsonc import ABSENT
from metis.clients.client import FileEdit, Item, Removed, Setting, Step
from metis.errors import ConfigError

_PRIVATE: Final = 0o600
_USUAL: Final = 0o644
_STATE: Final = "state.json"

EncodedPath = list[list[str]]


class Change(msgspec.Struct, kw_only=True):
    """One setting: where, what was there (`had` False: nothing), and a digest of what was put."""

    path: EncodedPath
    had: bool
    old: Any = None
    new_digest: str = ""


class FileState(msgspec.Struct, kw_only=True):
    """One file of a connected tool. `pristine`: the backup is what stood there just before our first edit.

    `mode` is what the file had then, `written_mode` what we left it with (None in older records).
    """

    path: str
    format: str
    existed: bool
    mode: int
    backup: str
    written_digest: str
    written_mode: int | None = None
    pristine: bool = True
    changes: list[Change] = []


class ConnectionState(msgspec.Struct, kw_only=True):
    """What `--undo` needs to know of one connected tool."""

    tool: str
    url: str
    key_id: str = ""
    files: list[FileState] = []


class _Plan(NamedTuple):
    path: Path
    before: str | None
    mode_before: int | None
    text: str
    mode: int
    record: FileState


class Connection:
    """One tool's edits, with their record in `directory` (mode 0700)."""

    def __init__(self, directory: Path, tool: str) -> None:
        self.directory = directory
        self._tool = tool

    @property
    def key_file(self) -> Path:
        return self.directory / "key"

    def state(self) -> ConnectionState | None:
        """What is recorded; None when the tool is not connected."""
        try:
            payload = (self.directory / _STATE).read_bytes()
        except FileNotFoundError:
            return None
        return msgspec.json.decode(payload, type=ConnectionState)

    def write_key(self, key: str) -> None:
        self._make_directory()
        write_file(self.key_file, key + "\n", _PRIVATE)

    def read_key(self) -> str:
        """The key that was written, "" when there is none."""
        try:
            return self.key_file.read_text().strip()
        except FileNotFoundError:
            return ""

    def restore_key(self, key: str) -> None:
        """Put back what `read_key` had given."""
        if key:
            self.write_key(key)
        else:
            self.key_file.unlink(missing_ok=True)

    def apply(self, edits: Sequence[FileEdit], url: str, key_id: str) -> list[Path]:
        """Put all settings in place; gives the files that changed. Raises ConfigError, before anything is written."""
        state = self.state() or ConnectionState(tool=self._tool, url=url)
        planned = [self._plan(edit, state) for edit in edits]
        self._make_directory()
        state.url, state.key_id = url, key_id or state.key_id
        for plan in planned:
            if plan.record not in state.files:
                state.files.append(plan.record)
            plan.record.written_digest = _digest(plan.text)
            plan.record.written_mode = plan.mode
        # The record comes first: were we killed between the two, --undo would still find its way.
        write_file(self.directory / _STATE, msgspec.json.encode(state).decode(), _PRIVATE)
        changed = [
            plan for plan in planned if plan.text != plan.before or plan.mode != plan.mode_before
        ]
        for plan in changed:
            write_file(plan.path, plan.text, plan.mode)
        return [plan.path for plan in changed]

    def undo(self) -> list[tuple[Path, str]]:
        """Take everything back; gives each file and what became of it. Raises ConfigError when not connected."""
        state = self.state()
        if state is None:
            raise ConfigError(f"{self._tool} is not connected; there is nothing to undo")
        done = [(Path(file.path), self._restore(file)) for file in reversed(state.files)]
        for leftover in self.directory.iterdir():
            leftover.unlink()
        self.directory.rmdir()
        return done

    def _plan(self, edit: FileEdit, state: ConnectionState) -> _Plan:
        """The file's new text, and its record with the backup made."""
        path = _target(edit.path)
        text, mode = _read(path)
        document = _parse(path, text or "", edit.format)
        record = next((file for file in state.files if file.path == str(path)), None)
        if record is None:
            record = FileState(
                path=str(path),
                format=edit.format,
                existed=text is not None,
                mode=_usual_mode() if mode is None else mode,
                backup=self._back_up(path, text),
                written_digest="",
            )
        elif text is None or _digest(text) != record.written_digest:
            record.pristine = (
                False  # somebody edited it after us: the backup is no longer the way back
            )
        for setting in edit.settings:
            _apply(document, setting, record.changes)
        present = record.mode if mode is None else mode
        return _Plan(
            path=path,
            before=text,
            mode_before=mode,
            text=document.render(),
            mode=present & _PRIVATE if edit.secret else present,
            record=record,
        )

    def _back_up(self, path: Path, text: str | None) -> str:
        if text is None:
            return ""
        self._make_directory()
        name = f"{hashlib.sha256(str(path).encode()).hexdigest()[:8]}-{path.name}"
        write_file(self.directory / name, text, _PRIVATE)
        return name

    def _restore(self, file: FileState) -> str:
        path = Path(file.path)
        text, mode = _read(path)
        untouched = text is not None and _digest(text) == file.written_digest
        if untouched and file.pristine:
            if not file.existed:
                path.unlink()
                return "removed"
            backup = (self.directory / file.backup).read_bytes().decode()
            ours = file.written_mode in (None, mode)
            write_file(path, backup, file.mode if ours else file.mode & (mode or 0))
            return "restored"
        if text is None or mode is None:
            return "gone already"
        document = _parse(path, text, file.format)
        for change in reversed(file.changes):
            _revert(document, change)
        # What is in it by now was written while it had this mode: others were not to read it then either.
        write_file(path, document.render(), mode)
        return "edited: what Metis had set is out, later changes stay"

    def _make_directory(self) -> None:
        self.directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory.mkdir(mode=0o700, exist_ok=True)


def write_file(path: Path, text: str, mode: int) -> None:
    """Write a file whole or not at all, with this mode from its first byte. Raises ConfigError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode())
                os.fchmod(file.fileno(), mode)
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise ConfigError(f"cannot write {path}: {exc.strerror}") from exc


def _usual_mode() -> int:
    """The mode of a new file, by the user's own wish."""
    wish = os.umask(0o077)
    os.umask(wish)
    return _USUAL & ~wish


def preview(edit: FileEdit) -> str:
    """The settings alone, in the file's own format: what a person would type."""
    document = open_document("", edit.format)
    for setting in edit.settings:
        if not isinstance(setting.value, Removed):
            document.set(setting.path, setting.value)
    return document.render()


def _target(path: str) -> Path:
    """Where a path leads: a file that is a link into somebody's dotfiles stays one."""
    return Path(path).expanduser().resolve()


def _read(path: Path) -> tuple[str | None, int | None]:
    try:
        payload = path.read_bytes()
        return payload.decode("utf-8"), stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None, None
    except OSError as exc:
        raise ConfigError(f"cannot read {path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path} is not UTF-8 text; edit it by hand") from exc


def _parse(path: Path, text: str, format: Any) -> Document:
    try:
        return open_document(text, format)
    except ConfigError as exc:
        raise ConfigError(f"cannot edit {path}: {exc}; mend it, or edit it by hand") from exc


def _apply(document: Document, setting: Setting, changes: list[Change]) -> None:
    """Make one setting and note it, once, at the highest place that was not there before."""
    old = document.get(setting.path)
    if setting.keep and old is not ABSENT:
        return
    new = ABSENT if isinstance(setting.value, Removed) else setting.value
    if old is new or old == new:
        return
    path = _first_missing(document, setting.path) if old is ABSENT else setting.path
    encoded = _encode(path)
    if new is ABSENT:
        document.remove(setting.path)
    else:
        document.set(setting.path, new)
    known = next((c for c in changes if encoded[: len(c.path)] == c.path), None)
    if known is None:
        had = old is not ABSENT
        known = Change(path=encoded, had=had, old=old if had else None)
        changes.append(known)
    if known.path == _encode(setting.path):
        known.new_digest = _value_digest(new)


def _first_missing(document: Document, path: Sequence[Step]) -> Sequence[Step]:
    for length in range(1, len(path)):
        if document.get(path[:length]) is ABSENT:
            return path[:length]
    return path


def _revert(document: Document, change: Change) -> None:
    path = [Item(*step) if len(step) == 2 else step[0] for step in change.path]
    current = document.get(path)
    if change.new_digest and _value_digest(current) != change.new_digest:
        return  # somebody set it to something else since: theirs
    if change.had:
        document.set(path, change.old)
    else:
        document.remove(path)


def _encode(path: Sequence[Step]) -> EncodedPath:
    return [[s.field, s.value] if isinstance(s, Item) else [s] for s in path]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _value_digest(value: Any) -> str:
    if value is ABSENT:
        return "absent"
    return _digest(msgspec.json.encode(value, order="sorted").decode())
