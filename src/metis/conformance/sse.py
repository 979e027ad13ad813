"""Server-sent events, read and written as the WHATWG says: https://html.spec.whatwg.org/#event-stream-interpretation."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from metis.conformance.json_values import Json, object_in

_LINE_END: Final = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True)
class Event:
    """One event: its name ("" when unnamed) and its data."""

    name: str
    data: str

    @property
    def object(self) -> Json | None:
        """The data decoded; None when it is no JSON object."""
        try:
            value = json.loads(self.data)
        except ValueError:
            return None
        return object_in(value) if isinstance(value, dict) else None


def read_events(body: bytes) -> list[Event]:
    """All whole events of a stream. Comments are left out, and so is what no empty line ends.

    Raises UnicodeDecodeError when the stream is not UTF-8.
    """
    events: list[Event] = []
    name, data = "", list[str]()
    for line in _LINE_END.split(body.decode("utf-8").removeprefix("\ufeff"))[:-1]:
        if not line:
            if data:
                events.append(Event(name, "\n".join(data)))
            name, data = "", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                name = value
            case "data":
                data.append(value)
            case _:
                continue
    return events


def write_event(data: Any, name: str = "") -> bytes:
    """One event; text goes out as it is, everything else as compact JSON."""
    text = data if isinstance(data, str) else compact(data)
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {text}\n\n".encode()


def compact(value: Any) -> str:
    """JSON without spaces, keys in the order they stand in, text unescaped."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
