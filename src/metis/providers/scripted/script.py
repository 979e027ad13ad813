"""What a script can say, as frozen values, and decoding one from JSON or TOML. How it is played lives beside this."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from metis.errors import ConfigError
from metis.facts.usage import Usage
from metis.ir.response import StopReason

Operation = Literal["generate", "count_tokens", "embeddings", "completions"]
Fault = Literal[
    "refused", "reset", "cut", "hang", "nonsense", "error_event", "no_terminator", "empty"
]


class When(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which requests a reply is for: all that is named must hold.

    `model` is a glob of the model's name as it was sent. `user` stands in the last text the user said
    (of other operations: anywhere in the body), `body` anywhere in the body's bytes. `tools`: whether
    tools are offered; `tool_result`: whether the conversation ends in a tool's answer. `shape`: the
    API the request is written in.
    """

    operation: Operation = "generate"
    model: str = "*"
    user: str = ""
    body: str = ""
    tools: bool | None = None
    tool_result: bool | None = None
    stream: bool | None = None
    shape: str = ""


class ScriptedCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tool call. `arguments`: an object, or text that goes out as it is, valid or not."""

    name: str
    arguments: dict[str, Any] | str = {}
    call_id: str = ""


class ScriptedReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer, and how it is given.

    Content: thinking first, then text, then refusal, then calls. `signature` proves the thinking; the shape decides
    where it stands. Where `text` is None and nothing else is said, the echo answers. `usage` None: counted
    from lengths, see `echo.usage_of_lengths`.

    `status` over 399 makes the answer an error: `text` is its message, `body` (an object or text)
    its whole body instead of the shape's own. With a status below, `body` is sent as the answer.
    `headers` come on top of the usual ones.

    `delay_ms` passes before the head, `chunk_delay_ms` between pieces of the body. A stream's piece is
    one event, and holds `chunk_characters` of text or arguments. `fault` breaks the answer after `fault_after`
    pieces of its body (None: `cut` after one, `error_event` after one, `hang` before the head, `nonsense` at once):

    - `refused`: no connection; `reset`: closed before it answered; `hang`: silence until a timeout
    - `cut`: closed inside the body; `empty`: a 200 with no body; `nonsense`: bytes of no shape
    - `error_event`: the stream ends with the shape's own error event, made from `status` (default
      529) and `text`; an answer that is no stream is an error of that status
    - `no_terminator`: the stream ends properly, but without its last event
    """

    when: When = When()
    text: str | None = None
    refusal: str | None = None
    thinking: str | None = None
    signature: str = "c2NyaXB0ZWQgc2lnbmF0dXJl"
    tool_calls: tuple[ScriptedCall, ...] = ()
    stop: StopReason | None = None
    stop_sequence: str | None = None
    usage: Usage | None = None
    response_id: str = ""
    status: int = 200
    headers: dict[str, str] = {}
    body: dict[str, Any] | str | None = None
    delay_ms: float = 0.0
    chunk_delay_ms: float = 0.0
    chunk_characters: int = 16
    fault: Fault | None = None
    fault_after: int | None = None

    def __post_init__(self) -> None:
        if not 200 <= self.status <= 599:
            raise ValueError(f"status must be 200 to 599, not {self.status}")
        if self.chunk_characters < 1:
            raise ValueError("chunk_characters must be 1 or more")
        if self.delay_ms < 0 or self.chunk_delay_ms < 0 or (self.fault_after or 0) < 0:
            raise ValueError("delays and fault_after must be 0 or more")

    @property
    def says_nothing(self) -> bool:
        """Whether the echo has to find the content."""
        return (
            self.text is None
            and self.thinking is None
            and self.refusal is None
            and not self.tool_calls
        )


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Replies in order: each request takes the first unused one that is for it; the last such repeats.

    A request that no reply is for is answered by the echo.
    """

    replies: tuple[ScriptedReply, ...] = ()


ECHO_ONLY = Script()


def decode_script(data: bytes, *, toml: bool, field: str) -> Script:
    """Decode a script file. Raises ConfigError naming `field`, the setting that names the file."""
    try:
        if toml:
            return msgspec.toml.decode(data, type=Script)
        return msgspec.json.decode(data, type=Script)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise ConfigError(f"the script cannot be used: {exc}", field=field) from exc
