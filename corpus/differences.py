"""How two JSON values differ, by path. It knows nothing of any API and shares no code with the codecs."""

from __future__ import annotations

from typing import Any, NamedTuple, cast


class Missing:
    """What stands at a path where one of the two has nothing."""

    def __repr__(self) -> str:
        return "nothing"


MISSING = Missing()


class Difference(NamedTuple):
    """`before` and `after` differ at `path` (`$.messages[0].content`)."""

    path: str
    before: Any
    after: Any


def differences(before: Any, after: Any, path: str = "$") -> list[Difference]:
    """Every deepest place where the two are not the same; numbers are compared with their type."""
    if isinstance(before, dict) and isinstance(after, dict):
        old, new = cast(dict[str, Any], before), cast(dict[str, Any], after)
        return [
            found
            for name in (*old, *(name for name in new if name not in old))
            for found in differences(
                old.get(name, MISSING), new.get(name, MISSING), f"{path}.{name}"
            )
        ]
    if isinstance(before, list) and isinstance(after, list):
        left, right = cast(list[Any], before), cast(list[Any], after)
        return [
            found
            for place in range(max(len(left), len(right)))
            for found in differences(
                left[place] if place < len(left) else MISSING,
                right[place] if place < len(right) else MISSING,
                f"{path}[{place}]",
            )
        ]
    if type(before) is type(after) and before == after:
        return []
    return [Difference(path, before, after)]
