"""Settings go into a tool's files and come out again, byte for byte where nobody else was there."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from metis.cli.editing.connection import Connection
from metis.clients.client import REMOVED, FileEdit, Setting
from metis.errors import ConfigError

ORIGINAL = '{\n  // mine\n  "env": {"KEY": "old", "TOKEN": "secret"},\n}\n'


def _edit(path: Path, *, secret: bool = False, value: str = "metis") -> FileEdit:
    return FileEdit(
        path=str(path),
        format="json",
        settings=(
            Setting(("env", "KEY"), value),
            Setting(("env", "TOKEN"), REMOVED),
            Setting(("provider", "metis", "url"), "u"),
            Setting(("stamp",), "first", keep=True),
        ),
        secret=secret,
    )


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    path = tmp_path / "tool" / "settings.json"
    path.parent.mkdir()
    path.write_text(ORIGINAL)
    path.chmod(0o640)
    return path


@pytest.fixture
def connection(tmp_path: Path) -> Connection:
    return Connection(tmp_path / "data" / "connect" / "tool", "tool")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _values(path: Path) -> dict:
    lines = [line for line in path.read_text().splitlines() if "//" not in line]
    return json.loads("".join(lines).replace(",}", "}"))


def test_what_was_asked_is_set_and_the_rest_stays(settings_file: Path, connection: Connection):
    assert connection.apply([_edit(settings_file)], "u", "key_1") == [settings_file]
    assert "// mine" in settings_file.read_text()
    assert _values(settings_file) == {
        "env": {"KEY": "metis"},
        "provider": {"metis": {"url": "u"}},
        "stamp": "first",
    }
    assert _mode(settings_file) == 0o640


def test_undo_restores_bytes_and_mode(settings_file: Path, connection: Connection):
    connection.apply([_edit(settings_file, secret=True)], "u", "")
    assert _mode(settings_file) == 0o600
    assert connection.undo() == [(settings_file, "restored")]
    assert settings_file.read_text() == ORIGINAL
    assert _mode(settings_file) == 0o640
    assert not connection.directory.exists()


def test_a_file_that_was_not_there_is_gone_after_undo(tmp_path: Path, connection: Connection):
    path = tmp_path / "new" / "settings.json"
    connection.apply([_edit(path)], "u", "")
    assert connection.undo() == [(path, "removed")]
    assert not path.exists()


def test_doing_it_twice_changes_nothing_the_second_time(
    settings_file: Path, connection: Connection
):
    connection.apply([_edit(settings_file)], "u", "")
    once = settings_file.read_text()
    assert connection.apply([_edit(settings_file)], "u", "") == []
    assert settings_file.read_text() == once
    connection.apply([_edit(settings_file, value="other")], "v", "")
    connection.undo()
    assert settings_file.read_text() == ORIGINAL


def test_undo_leaves_what_others_changed_since(settings_file: Path, connection: Connection):
    connection.apply([_edit(settings_file)], "u", "")
    text = settings_file.read_text()
    settings_file.write_text(text.replace('"stamp": "first"', '"stamp": "later", "mine": 1'))
    [(path, outcome)] = connection.undo()
    assert (path, outcome) == (
        settings_file,
        "edited: what Metis had set is out, later changes stay",
    )
    assert _values(settings_file) == {
        "env": {"KEY": "old", "TOKEN": "secret"},
        "stamp": "later",
        "mine": 1,
    }


def test_an_edit_between_two_writes_survives_undo(settings_file: Path, connection: Connection):
    connection.apply([_edit(settings_file)], "u", "")
    settings_file.write_text(settings_file.read_text().replace('"KEY"', '"OWN": "x", "KEY"'))
    connection.apply([_edit(settings_file, value="again")], "u", "")
    connection.undo()
    assert _values(settings_file) == {"env": {"OWN": "x", "KEY": "old", "TOKEN": "secret"}}


def test_a_setting_somebody_else_changed_stays_theirs(settings_file: Path, connection: Connection):
    connection.apply([_edit(settings_file)], "u", "")
    settings_file.write_text(settings_file.read_text().replace('"metis"}', '"theirs"}'))
    connection.undo()
    assert _values(settings_file)["env"] == {"KEY": "theirs", "TOKEN": "secret"}


def test_a_link_into_somebodys_dotfiles_stays_a_link(
    tmp_path: Path, settings_file: Path, connection: Connection
):
    link = tmp_path / "link.json"
    link.symlink_to(settings_file)
    connection.apply([_edit(link)], "u", "")
    assert link.is_symlink()
    assert _values(settings_file)["env"] == {"KEY": "metis"}


def test_nothing_is_written_when_one_of_the_files_cannot_be_edited(
    tmp_path: Path, settings_file: Path, connection: Connection
):
    broken = tmp_path / "broken.json"
    broken.write_text("{oops")
    with pytest.raises(ConfigError, match=r"cannot edit .*broken\.json: line 1: expected a key"):
        connection.apply([_edit(settings_file), _edit(broken)], "u", "")
    assert settings_file.read_text() == ORIGINAL
    assert connection.state() is None


def test_undoing_what_was_never_done_is_an_error(connection: Connection):
    with pytest.raises(ConfigError, match="tool is not connected; there is nothing to undo"):
        connection.undo()


def test_records_and_key_are_readable_by_their_owner_alone(
    settings_file: Path, connection: Connection
):
    connection.write_key("sk")
    connection.apply([_edit(settings_file)], "u", "")
    assert {_mode(path) for path in connection.directory.iterdir()} == {0o600}
    assert _mode(connection.directory) == _mode(connection.directory.parent) == 0o700


def _in_between(path: Path) -> None:
    path.write_text(path.read_text().replace("{", '{"mine": "secret",', 1))


@pytest.mark.parametrize("there", [True, False])
def test_undo_never_widens_a_mode_of_a_file_somebody_added_to(
    tmp_path: Path, connection: Connection, there: bool
):
    path = tmp_path / "settings.json"
    if there:
        path.write_text(ORIGINAL)
        path.chmod(0o644)
    connection.apply([_edit(path, secret=True)], "u", "")
    _in_between(path)
    connection.undo()
    assert '"mine"' in path.read_text()
    assert _mode(path) == 0o600


def test_a_mode_somebody_narrowed_since_stays_narrow(settings_file: Path, connection: Connection):
    connection.apply([_edit(settings_file)], "u", "")
    settings_file.chmod(0o600)
    connection.apply([_edit(settings_file, value="again")], "u", "")
    assert _mode(settings_file) == 0o600
    settings_file.chmod(0o400)
    connection.undo()
    assert settings_file.read_text() == ORIGINAL
    assert _mode(settings_file) == 0o400


def test_a_new_file_has_the_mode_its_user_wishes(tmp_path: Path, connection: Connection):
    before = os.umask(0o027)
    try:
        connection.apply([_edit(tmp_path / "new.json")], "u", "")
    finally:
        os.umask(before)
    assert _mode(tmp_path / "new.json") == 0o640
