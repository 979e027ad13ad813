"""A request of another shape as a chat request: what maps, what is dropped, and a note for each.

The target is what OpenAI's own endpoint takes, since unknown fields there give 400:
https://platform.openai.com/docs/api-reference/chat/create. The conversation itself is written by
`conversation`.
"""

from __future__ import annotations

from dataclasses import replace

from metis.ir.request import Reasoning, Request, Tool, ToolChoice
from metis.wire.codec import Encoded
from metis.wire.effective_tools import effective_tools
from metis.wire.losses import says_something
from metis.wire.openai_chat.conversation import MAX_NAME_CHARACTERS, messages_out
from metis.wire.openai_chat.fields import Object, dump
from metis.wire.openai_chat.functions import (
    NO_PARAMETERS,
    plain_choice,
    plain_tool,
    text_as_function,
)
from metis.wire.openai_chat.notes import Notes
from metis.wire.openai_chat.output_format import plain_output_format
from metis.wire.tools import FlatTool, flatten_tools, short_name

MAX_STOP_SEQUENCES = 4  # API reference, `stop`
MAX_USER_CHARACTERS = 64  # the API refuses a longer `user`
DEFAULT_SCHEMA_NAME = "response"  # response_format.json_schema wants a name

# A thinking budget has no counterpart but an effort. The bounds follow what clients ask for: Claude
# Code's "think" is 4,000 tokens, "think hard" 10,000, "ultrathink" 31,999.
LOW_BUDGET, MEDIUM_BUDGET = 4_096, 16_384

# Not every reasoning model knows the levels above high; none does without knowing high.
_LOWERED_EFFORTS = {"xhigh": "high", "max": "high"}

_SERVICE_TIERS = {"standard_only": "default"}  # Anthropic's word


def encode_foreign(request: Request) -> Encoded:
    """Raises CodecError only where the IR holds what JSON cannot."""
    notes = Notes()
    named = flatten_tools(effective_tools(request))
    flat = tuple(replace(item, name=short_name(item.name, MAX_NAME_CHARACTERS)) for item in named)
    out: Object = {"model": request.model, "messages": messages_out(request, flat, notes)}
    for index, tool in enumerate(request.tools):
        if tool.kind == "namespace" and tool.description:
            notes.lost(f"tools[{index}].description", "chat knows no groups of tools")
    tools = _tools(flat, notes)
    if tools:
        out["tools"] = tools
    _tool_choice(out, request, flat, notes)
    # OpenAI's current name for the limit; every model of theirs takes it, the older `max_tokens` not.
    _put(out, "max_completion_tokens", request.max_tokens)
    _put(out, "temperature", request.temperature)
    _put(out, "top_p", request.top_p)
    if request.top_k is not None:
        notes.lost("top_k", "chat completions have no top_k")
    _stop(out, request, notes)
    _put(out, "seed", request.seed)
    if request.reasoning is not None:
        _reasoning(out, request.reasoning, notes)
    _output_format(out, request, notes)
    _put(out, "stream", request.stream)
    if request.stream:
        out["stream_options"] = {"include_usage": True}  # the ledger needs it
    _identity(out, request, notes)
    if request.cache is not None:
        notes.lost("cache_control", "a cache marker has no place in chat completions")
    for key, value in request.extras.items():
        if says_something(value):
            notes.lost(key, "has no place in chat completions")
    renamed = {
        short.name: item.name
        for short, item in zip(flat, named, strict=True)
        if short.name != item.name
    }
    return Encoded(dump(out), notes.result(), renamed)


def _put(out: Object, key: str, value: object) -> None:
    if value is not None:
        out[key] = value


def _tools(flat: tuple[FlatTool, ...], notes: Notes) -> list[Object]:
    written: dict[str, Object] = {}
    for index, item in enumerate(flat):
        path = f"tools[{index}]"
        tool = item.tool
        made = plain_tool(text_as_function(tool) if tool.kind == "custom" else tool, item.name)
        if made is None or tool.kind == "server":
            kind = (tool.raw or {}).get("type", tool.name)
            notes.lost(path, f"server tool {kind} has no counterpart here")
            continue
        if item.name in written:
            notes.lost(path, f"a second tool named {item.name}")
            continue
        written[item.name] = made
        _note_tool(tool, item, path, notes)
        if tool.kind == "function" and tool.input_schema is None:
            made["function"]["parameters"] = NO_PARAMETERS
    return list(written.values())


def _note_tool(tool: Tool, item: FlatTool, path: str, notes: Notes) -> None:
    if item.namespace and item.name != tool.name:
        notes.mapped(path, f"{item.namespace}.{tool.name} is called {item.name}")
    elif item.name != tool.name:
        notes.mapped(f"{path}.name", f"the tool is called {item.name}")
    if tool.kind == "custom":
        notes.mapped(path, "a free-text tool is a function with one string property, input")
    if tool.cache is not None:
        notes.lost(f"{path}.cache_control", "cache marker")
    for key, value in tool.extras.items():
        if says_something(value):
            notes.lost(f"{path}.{key}", "has no place in a chat tool")


def _tool_choice(out: Object, request: Request, flat: tuple[FlatTool, ...], notes: Notes) -> None:
    """Choice and parallelism are only allowed beside tools."""
    choice = request.tool_choice
    if "tools" not in out:
        if choice is not None and choice.kind in ("any", "tool"):
            notes.lost("tool_choice", "there is no tool to choose")
        return
    _put(out, "parallel_tool_calls", request.parallel_tool_calls)
    if choice is None:
        return
    for key, value in choice.extras.items():
        if says_something(value):
            notes.lost(f"tool_choice.{key}", "has no place in a chat tool choice")
    if choice.kind != "tool":
        out["tool_choice"] = plain_choice(choice)
        return
    chosen = next(
        (
            item
            for item in flat
            if choice.name in (item.name, item.tool.name) and item.tool.kind != "server"
        ),
        None,
    )
    if chosen is None:
        notes.mapped("tool_choice", f"{choice.name} is not among the tools; any may be called")
        out["tool_choice"] = "required"
        return
    out["tool_choice"] = plain_choice(ToolChoice(kind="tool", name=chosen.name))


def _stop(out: Object, request: Request, notes: Notes) -> None:
    if not request.stop:
        return
    out["stop"] = list(request.stop[:MAX_STOP_SEQUENCES])
    if len(request.stop) > MAX_STOP_SEQUENCES:
        notes.lost(
            f"stop_sequences[{MAX_STOP_SEQUENCES}]",
            f"chat completions take {MAX_STOP_SEQUENCES} stop sequences, "
            f"{len(request.stop) - MAX_STOP_SEQUENCES} are left out",
        )


def _reasoning(out: Object, wish: Reasoning, notes: Notes) -> None:
    path = "thinking" if wish.mode else "reasoning"
    effort = wish.effort
    if wish.mode == "disabled":
        effort = ""  # models that reason by default have no common word for none
    elif not effort and wish.budget_tokens is not None:
        effort = effort_of_budget(wish.budget_tokens)
        notes.mapped(
            f"{path}.budget_tokens", f"{wish.budget_tokens} tokens are asked as effort {effort}"
        )
    lowered = _LOWERED_EFFORTS.get(effort)
    if lowered is not None:
        notes.mapped(f"{path}.effort", f"effort {effort} is sent as {lowered}")
    if effort:
        out["reasoning_effort"] = lowered or effort
    for key, value in (("summary", wish.summary), ("display", wish.display), *wish.extras.items()):
        if says_something(value):
            notes.lost(f"{path}.{key}", "has no place in chat completions")


def effort_of_budget(budget_tokens: int) -> str:
    """The effort that stands for a thinking budget: low to 4,096 tokens, medium to 16,384, then high."""
    if budget_tokens <= LOW_BUDGET:
        return "low"
    return "medium" if budget_tokens <= MEDIUM_BUDGET else "high"


def _output_format(out: Object, request: Request, notes: Notes) -> None:
    wanted = request.output_format
    if wanted is None or wanted.kind == "text":
        return
    made = plain_output_format(wanted)
    if wanted.kind == "json_schema":
        made["json_schema"].setdefault("name", DEFAULT_SCHEMA_NAME)
    out["response_format"] = made
    for key, value in wanted.extras.items():
        if says_something(value):
            notes.lost(f"output_format.{key}", "has no place in response_format")


def _identity(out: Object, request: Request, notes: Notes) -> None:
    if request.user is not None:
        if len(request.user) <= MAX_USER_CHARACTERS:
            out["user"] = request.user
        else:
            why = f"longer than the {MAX_USER_CHARACTERS} characters that `user` may have"
            notes.lost("user", why)
    if request.service_tier is not None:
        out["service_tier"] = _SERVICE_TIERS.get(request.service_tier, request.service_tier)
    _put(out, "prompt_cache_key", request.prompt_cache_key)
    # Not storing is what chat completions do anyway, and many compatible servers do not know the field.
    if request.store:
        out["store"] = True
    if says_something(request.metadata):
        if request.store:
            out["metadata"] = request.metadata
        else:
            notes.lost("metadata", "chat completions take metadata only with store")
