"""The fake upstream of the client scripts, with one thing more: in all shapes it can drive Codex's `exec` tool.

That tool takes JavaScript. The fake upstream knows so in the Responses API alone, where it is a free-text
tool; in the other shapes it would write the shell command into it.
"""

from __future__ import annotations

import json
import os
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

END = "\nmain()"


def load(path: Path) -> types.ModuleType:
    """The script as a module that has not begun to serve."""
    text, end, _ = path.read_text(encoding="utf-8").rpartition(END)
    if not end:
        raise SystemExit(f"{path} no longer ends in {END.strip()}: its copy here must be looked at")
    module = types.ModuleType("fake_upstream")
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module


def in_javascript(plan: Callable[[Any], Any], command: str) -> Callable[[Any], Any]:
    script = f"const r = await tools.exec_command({{cmd: {json.dumps(command)}}}); text(r.output);"

    def planned(body: Any) -> Any:
        made = plan(body)
        if made.kind == "tool" and made.name == "exec" and made.tkind == "function":
            made.args = {"input": script}
        return made

    return planned


if __name__ == "__main__":
    fake = load(Path(os.environ["METIS_CLIENTS"]) / "fake_upstream.py")
    for name in ("plan_anthropic", "plan_chat"):
        setattr(fake, name, in_javascript(getattr(fake, name), fake.CMD))
    fake.main()
