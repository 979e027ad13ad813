"""What a request asks for, said in the upstream's words: limits, stops, tools, choices, the system's text."""

from __future__ import annotations

from typing import Final

from metis.conformance.json_values import Json, object_in
from metis.conformance.judging import check, equal
from metis.conformance.neutral import Prompt
from metis.conformance.scenario import Scenario
from metis.conformance.scenarios.blocks import ASKED, TOOL
from metis.conformance.stage import Stage

_ISSUE: Final = ("LiteLLM #33075",)
_STOP_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "anthropic": ("stop_sequences",),
    "openai": ("stop",),
    "responses": (),
}


async def _stops(stage: Stage) -> None:
    words = ["###", "END"]
    field = _STOP_FIELDS[stage.shape.name][0]
    await stage.ask(Prompt(more={field: words}))
    sent = stage.sent()
    known = _STOP_FIELDS[stage.behind.name]
    alien = [name for name in ("stop", "stop_sequences") if name in sent and name not in known]
    check(not alien, f"no field that {stage.behind.title} refuses", alien)
    if known:
        equal("the stop sequences", list(stage.asked().stops), words)


async def _limit(stage: Stage) -> None:
    await stage.ask(Prompt(max_tokens=321))
    equal("the limit of output tokens", stage.asked().max_tokens, 321)


async def _temperature(stage: Stage) -> None:
    await stage.ask(Prompt(more={"temperature": 0.25}))
    equal("temperature", stage.asked().temperature, 0.25)


async def _system(stage: Stage) -> None:
    text = "Answer in French, and only in French."
    await stage.ask(Prompt(system=text))
    equal("the system's text", stage.asked().system.strip(), text)


async def _tools(stage: Stage) -> None:
    await stage.ask(ASKED)
    tools = stage.asked().tools
    equal("the tools' names", [one.name for one in tools], [TOOL.name])
    equal("the description", tools[0].description, TOOL.description)
    properties: Json = dict(object_in(tools[0].schema.get("properties")))
    equal("the schema's properties", properties, TOOL.schema["properties"])


async def _choice(stage: Stage) -> None:
    """Each way to say which tool may be called, as this shape says it, and what must arrive."""
    name = TOOL.name
    said: dict[str, dict[str, object]] = {
        "anthropic": {
            "must": {"type": "any"},
            name: {"type": "tool", "name": name},
            "none": {"type": "none"},
        },
        "openai": {
            "must": "required",
            name: {"type": "function", "function": {"name": name}},
            "none": "none",
        },
        "responses": {
            "must": "required",
            name: {"type": "function", "name": name},
            "none": "none",
        },
    }
    for wanted, choice in said[stage.shape.name].items():
        await stage.ask(Prompt(ASKED.user, tools=ASKED.tools, more={"tool_choice": choice}))
        sent = stage.asked()
        if wanted == "none" and not sent.tools:
            continue  # no tool offered, none called
        equal(f"tool_choice {choice}", sent.tool_choice, wanted)


async def _structured(stage: Stage) -> None:
    """Where an API has no words for it, a tool or an instruction that holds the schema does as well."""
    name = "conformance_verdict"
    schema: Json = {
        "type": "object",
        "properties": {name: {"type": "boolean"}},
        "required": [name],
        "additionalProperties": False,
    }
    form: Json = {"type": "json_schema", "name": "verdict", "schema": schema, "strict": True}
    said: dict[str, Json] = {
        "anthropic": {"output_config": {"format": {"type": "json_schema", "schema": schema}}},
        "openai": {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "verdict", "schema": schema, "strict": True},
            }
        },
        "responses": {"text": {"format": form}},
    }
    await stage.ask(Prompt(more=said[stage.shape.name]))
    sent = stage.sent()
    check(name in str(sent), f"a request that holds the schema's property {name}", list(sent))


async def _one_at_a_time(stage: Stage) -> None:
    """Calls side by side are forbidden."""
    choice = {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
    more: Json = choice if stage.shape.name == "anthropic" else {"parallel_tool_calls": False}
    await stage.ask(Prompt(ASKED.user, tools=ASKED.tools, more=more))
    sent = stage.sent()
    if stage.behind.name == "anthropic":
        told = object_in(sent.get("tool_choice")).get("disable_parallel_tool_use")
        equal("tool_choice.disable_parallel_tool_use", told, True)
    else:
        equal("parallel_tool_calls", sent.get("parallel_tool_calls"), False)


PARAMETERS: Final = (
    Scenario(
        "stop-sequences",
        "Stop sequences are said as the upstream's API says them, or not at all",
        "parameters",
        _stops,
        _ISSUE,
        shapes=("anthropic", "openai"),
        behind="any",
    ),
    Scenario(
        "output-limit", "The limit of output arrives", "parameters", _limit, _ISSUE, behind="any"
    ),
    Scenario(
        "temperature", "The temperature arrives", "parameters", _temperature, _ISSUE, behind="any"
    ),
    Scenario(
        "system-text", "The system's text arrives", "parameters", _system, _ISSUE, behind="any"
    ),
    Scenario("tools", "Offered tools arrive whole", "parameters", _tools, _ISSUE, behind="any"),
    Scenario(
        "tool-choice",
        "Which tool must be called arrives",
        "parameters",
        _choice,
        _ISSUE,
        behind="any",
    ),
    Scenario(
        "one-call-at-a-time",
        "That calls side by side are forbidden arrives",
        "parameters",
        _one_at_a_time,
        _ISSUE,
        behind="any",
    ),
    Scenario(
        "structured-output",
        "The schema an answer must follow arrives",
        "parameters",
        _structured,
        _ISSUE,
        behind="any",
    ),
)
