"""The repository itself: registries are whole, floors list every package, tools find what they are for."""

from __future__ import annotations

import ast
import configparser
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import msgspec
import pytest

from metis.clients import CLIENTS
from metis.clients.client import Client
from metis.facts.decision import SlotName
from metis.providers import PROVIDERS
from metis.providers.provider import ProviderKind
from metis.routing.slot import Slot
from metis.routing.slots import SLOTS
from metis.storage import BACKENDS
from metis.storage.backend import Backend
from metis.trace.events import EVENTS, AnyForm, decode_event, decode_events, encode_events
from metis.trace.events.event import Event, TurnEvent, name_of
from metis.wire import SHAPES, UPSTREAM_SHAPES
from metis.wire.codec import Shape, ShapeName, UpstreamShape

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src/metis"


def children(package: str) -> list[str]:
    """Dotted names of the modules and packages right below a package."""
    folder = SOURCE.joinpath(*package.split(".")[1:])
    return [
        f"{package}.{path.stem}"
        for path in sorted(folder.iterdir())
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").exists()
    ]


def values_in(package: str, kind: type) -> dict[str, object]:
    """All values of a kind that the modules right below a package define, by dotted name."""
    found: dict[str, object] = {}
    for name in children(package):
        module = importlib.import_module(name)
        for attribute, value in vars(module).items():
            if isinstance(value, kind) and attribute.isupper():
                found[f"{name}.{attribute}"] = value
    return found


def script(name: str) -> ModuleType:
    """One of scripts/, as a module."""
    loader = SourceFileLoader(name.replace("-", "_"), str(ROOT / "scripts" / name))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[loader.name] = module  # dataclasses look their module up
    loader.exec_module(module)
    return module


# Registries


def test_the_seven_slots_stand_in_the_order_of_their_names() -> None:
    assert tuple(slot.name for slot in SLOTS) == get_args(SlotName)


@pytest.mark.parametrize(
    ("package", "kind", "registry"),
    [
        ("metis.routing.slots", Slot, SLOTS),
        ("metis.providers", ProviderKind, PROVIDERS),
        ("metis.clients", Client, CLIENTS),
        ("metis.storage", Backend, BACKENDS),
        ("metis.wire", UpstreamShape, UPSTREAM_SHAPES),
    ],
    ids=["slots", "providers", "clients", "backends", "shapes"],
)
def test_whatever_a_module_defines_is_registered(
    package: str, kind: type, registry: tuple[object, ...]
) -> None:
    defined = values_in(package, kind)
    assert defined
    missing = [name for name, value in defined.items() if not any(value is r for r in registry)]
    assert missing == []


@pytest.mark.parametrize(
    "registry", [PROVIDERS, CLIENTS, UPSTREAM_SHAPES], ids=["provider", "client", "shape"]
)
def test_names_in_a_registry_are_unique(registry: tuple[Shape, ...]) -> None:
    names = [entry.name for entry in registry]
    assert sorted(set(names)) == sorted(names)


def test_every_shape_has_its_name_in_the_codec() -> None:
    assert {shape.name for shape in UPSTREAM_SHAPES} == set(get_args(ShapeName))
    assert set(SHAPES) <= set(UPSTREAM_SHAPES)


def test_every_provider_speaks_shapes_that_exist() -> None:
    known = {shape.name for shape in UPSTREAM_SHAPES}
    assert {kind.name: set(kind.shapes) - known for kind in PROVIDERS} == {
        kind.name: set() for kind in PROVIDERS
    }


def all_events() -> set[type[AnyForm]]:
    found: set[type[AnyForm]] = set()
    todo: list[type[AnyForm]] = [Event, TurnEvent]
    while todo:
        for inner in todo.pop().__subclasses__():
            if inner.__module__.startswith("metis."):
                found.add(inner)
                todo.append(inner)
    return found


def test_every_event_is_registered_under_a_name_of_its_own() -> None:
    named = {str(event.__struct_config__.tag): event for event in EVENTS}
    assert len(named) == len(EVENTS)
    assert {name for name in named if not re.fullmatch(r"[a-z]+\.[a-z]+(_[a-z]+)*", name)} == set()
    assert all_events() - {event for event in all_events() if event.__subclasses__()} == set(EVENTS)


def test_events_stand_in_the_file_of_their_family_or_beside_it() -> None:
    """`gateway.py` holds the small families of the gateway: config and admin too."""
    for event in EVENTS:
        family = str(event.__struct_config__.tag).partition(".")[0]
        home = event.__module__.rpartition(".")[2]
        assert home == family or (home == "gateway" and family in ("config", "admin"))


def test_an_event_comes_back_from_disk_as_it_was() -> None:
    written: list[AnyForm] = []
    for event in EVENTS:
        fields = _required_values(event)
        if issubclass(event, TurnEvent):
            for name, group in event.groups.items():
                fields[name] = group.pack(**_required_values(group.kind))
        written.append(event(**fields))
        lines = encode_events(written[-1:])
        assert (lines[-1:], lines.count(b"\n")) == (b"\n", 1)
        assert decode_event(lines) == written[-1]
        assert name_of(written[-1]) == event.__struct_config__.tag
    assert decode_events(encode_events(written)) == written
    assert len({event.event_id for event in written if isinstance(event, TurnEvent)}) == 4


def _required_values(kind: Any) -> dict[str, Any]:
    return {
        field.name: _any_value(field.type)
        for field in msgspec.structs.fields(kind)
        if field.required
    }


def _any_value(kind: object) -> object:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind(**_required_values(kind))
    choices = get_args(kind)
    if choices and isinstance(choices[0], str):
        return choices[0]
    simple: dict[object, object] = {str: "x", int: 1, float: 1.0, bool: True}
    return simple.get(kind, ())


# Floors


def floors() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    return parser


def test_the_floors_list_every_package() -> None:
    listed = set(re.findall(r"\w+", floors()["importlinter:contract:floors"]["layers"]))
    planned = set(re.findall(r"\((\w+)\)", floors()["importlinter:contract:floors"]["layers"]))
    here = {name.rpartition(".")[2] for name in children("metis")}
    assert here - listed == set()
    assert listed - here == planned


def test_the_core_without_io_is_everything_up_to_the_turn() -> None:
    config = floors()
    layers = config["importlinter:contract:floors"]["layers"].strip().splitlines()
    turn = [line.strip() for line in layers].index("turn")
    core = {f"metis.{name}" for line in layers[turn:] for name in re.findall(r"\w+", line)}
    built = {name for name in core if name in children("metis")}
    assert set(config["importlinter:contract:sansio"]["source_modules"].split()) == built


def test_architecture_draws_the_floors_that_are_enforced() -> None:
    drawn = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    block = next(b for b in re.findall(r"```\n(.*?)```", drawn, re.S) if "bootstrap > config" in b)
    layers = floors()["importlinter:contract:floors"]["layers"].strip().splitlines()
    enforced = [set(re.findall(r"(?<!\()\b\w+\b(?!\))", line)) for line in layers]
    assert [set(re.findall(r"\w+", floor)) for floor in block.split(">")] == [
        floor for floor in enforced if floor
    ]


@pytest.mark.parametrize("path", sorted(SOURCE.glob("*/settings.py")), ids=lambda p: p.parent.name)
def test_settings_depend_on_nothing_of_ours(path: Path) -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
    assert imported - set(sys.stdlib_module_names) <= {"msgspec"}


def test_every_package_says_what_it_is() -> None:
    bare = [
        str(folder.relative_to(ROOT))
        for folder in SOURCE.rglob("*")
        if folder.is_dir()
        and any(folder.glob("*.py"))
        and not ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    ]
    assert bare == []


# Dependencies


def test_direct_runtime_dependencies_are_25_at_most_and_the_document_counts_them() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    direct = [*project["dependencies"], *(one for extra in extras for one in extra)]
    assert len(direct) <= 25
    text = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    assert re.findall(r"there are (\d+)", text) == [str(len(direct))]


@pytest.mark.parametrize("name", ["runtime.txt", "dev.txt", "uv.txt"])
def test_lock_files_hash_everything_and_name_no_registry(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    pinned = re.findall(
        r"^[a-z0-9][\w.-]*==\S+(?: ;[^\\\n]*)? \\\n(?:    --hash=sha256:)", text, re.M
    )
    assert len(pinned) == len(re.findall(r"^[a-z0-9]", text, re.M))
    assert re.findall(r"https?://|--index-url|--find-links", text) == []


# What is compiled


def test_compiled_modules_hold_nothing_that_mypyc_loses() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = project["tool"]["metis"]["compiled"]
    assert listed == sorted(set(listed))
    lost: list[str] = []
    for name in listed:
        tree = ast.parse((ROOT / "src" / name).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                bases = [ast.unparse(base) for base in node.bases]
                if node.keywords or any("Struct" in base for base in bases):
                    lost.append(f"{name}: class {node.name}({', '.join(bases)}, ...)")
    assert lost == []


def test_what_was_compiled_is_used_only_while_the_sources_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = script("compile")
    monkeypatch.setattr(program, "ROOT", tmp_path)
    monkeypatch.setattr(program, "SOURCE", tmp_path / "src")
    monkeypatch.setattr(program, "TARGET", tmp_path / "build")
    monkeypatch.setattr(program, "__file__", str(tmp_path / "pyproject.toml"))
    for folder in ("src", "build"):
        (tmp_path / folder).mkdir()
    (tmp_path / "pyproject.toml").write_text("[tool.metis]\n")
    (tmp_path / "src/one.py").write_text("a = 1\n")
    assert not program.is_fresh()
    (tmp_path / "build/.made-of").write_text(program.digest())
    assert program.is_fresh()
    (tmp_path / "src/one.py").write_text("a = 2\n")
    assert not program.is_fresh()


# Tools


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.findall(r"^\.PHONY: ((?!\$).*)$", makefile, re.M)
    # Without the variables of the make that may run this test: an inner make speaks differently.
    outer = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "help"], cwd=ROOT, env=outer, capture_output=True, text=True, check=True
    )
    listed = {line.split()[0] for line in done.stdout.splitlines()}
    assert listed == set(" ".join(phony).split())


def test_programs_are_executable() -> None:
    programs = [path for path in (ROOT / "scripts").iterdir() if path.is_file()]
    begun = [path for path in [*programs, ROOT / ".ci/run"] if path.read_bytes()[:2] == b"#!"]
    assert [path.name for path in begun if not path.stat().st_mode & 0o100] == []
    assert {path.name for path in programs} - {path.name for path in begun} == {"trust"}


def test_hooks_fetch_nothing() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"repo: (\S+)", text) == ["local"]


def house(tmp_path: Path, files: dict[str, str]) -> Path:
    """A small repository with these files and our Makefile, pyproject.toml and metrics."""
    for name in ("Makefile", "pyproject.toml", "src/metis/gateway/admin/metrics.py"):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    for name, text in files.items():
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return tmp_path


def test_the_docs_check_finds_what_leads_nowhere(tmp_path: Path) -> None:
    readme = """# Title

[good](docs/a.md#part-two), [no file](docs/b.md), [no heading](docs/a.md#part-three), [out](https://example.org)

`gateway/admin/metrics.py` and `wire/x.py` are fine, `gateway/nothing.py` is not.

Type `make run`, `make nonsense`, `metis keys create|list|burn`, `metis up --port 0 --nowhere`, `metis exec -- up --x`.

```
metis dance
$ metis connect claude --write   # this one exists
```

```toml
[gateway]
prot = 1
```
"""
    root = house(tmp_path, {"README.md": readme, "docs/a.md": "# A\n\n## Part two\n"})
    docs = script("check-docs").Docs(root)
    assert list(docs.broken_links()) == [
        "README.md:3: no such file: docs/b.md",
        "README.md:3: no such heading: docs/a.md#part-three",
    ]
    assert list(docs.stale_modules()) == ["README.md:5: no such module: gateway/nothing.py"]
    assert list(docs.stale_commands()) == [
        "README.md:7: no such command: make nonsense",
        "README.md:7: no such command: metis keys burn",
        "README.md:7: no such command: metis up --nowhere",
        "README.md:10: no such command: metis dance",
    ]
    stale = list(docs.stale_settings())
    assert len(stale) == 1
    assert "prot" in stale[0]


def test_the_docs_check_finds_what_is_not_documented(tmp_path: Path) -> None:
    """With each document empty, everything is missing."""
    names = ("configuration", "events", "metrics", "cli", "dependencies")
    root = house(tmp_path, {f"docs/{name}.md": f"# {name}\n" for name in names})
    found = list(script("check-docs").Docs(root).all())
    for wanted in (
        "docs/configuration.md: no heading names gateway",
        "docs/configuration.md: nothing on data_dir",
        "docs/events.md: nothing on llm.call_completed",
        "docs/metrics.md: nothing on metis_turns",
        "docs/cli.md: nothing on metis keys create",
        "docs/dependencies.md: nothing on msgspec",
        "docs/dependencies.md: nothing on pytest-xdist",
    ):
        assert wanted in found


def test_the_style_check_finds_what_the_linter_cannot_say(tmp_path: Path) -> None:
    long_function = '"""Doc."""\n\n\ndef long() -> None:\n' + "    x = 1\n" * 70
    later = "# TO" + "DO later\n"
    ignored = "x = 1  # no" + "qa: E501\n"
    reasoned = "x = 1  # no" + "qa: E501 - a link\n"
    skipped = "import pytest\n\npytest.mark." + "skip\n"
    root = house(
        tmp_path,
        {
            "src/metis/utils.py": '"""Doc."""\n',
            "src/metis/bare.py": "x = 1\n",
            "src/metis/long.py": long_function,
            "src/metis/big.py": '"""Doc."""\n' + "x = 1\n" * 800,
            "src/metis/later.py": '"""Doc."""\n' + later + ignored + reasoned,
            "tests/test_x.py": skipped,
        },
    )
    style = script("check-style")
    found = [
        complaint
        for path in style.python_files(root)
        if path.name != "metrics.py"
        for complaint in style.complaints(path, path.relative_to(root).as_posix())
    ]
    assert found == [
        "src/metis/bare.py: say in a module docstring what lives here",
        "src/metis/big.py: 801 lines; 800 are the most",
        f"src/metis/later.py:2: unfinished: {later.strip()}",
        "src/metis/later.py:3: an ignore names its rule and, beside it, its reason",
        "src/metis/long.py:4: long has 71 lines; 70 are the most",
        "src/metis/utils.py: name the idea, not the kind of file",
        "tests/test_x.py:3: unfinished: pytest.mark." + "skip",
    ]
