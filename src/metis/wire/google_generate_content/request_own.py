"""IR into the request it was decoded from. Requests of other shapes are `request_out`'s business."""

from __future__ import annotations

from metis.ir.content import Part, Thinking
from metis.ir.request import Message, Request, Tool, ToolChoice
from metis.wire.fields import Json, as_object
from metis.wire.google_generate_content.name import NAME
from metis.wire.google_generate_content.parts_out import own_parts
from metis.wire.google_generate_content.request_in import ROLES
from metis.wire.google_generate_content.spelling import respelt
from metis.wire.notes import Notes

_ROLE_WORDS = {role: word for word, role in ROLES.items()}


def own_request(request: Request, notes: Notes) -> Json:
    """The body as it came, with what was edited since."""
    extras = dict(request.extras)
    body: Json = {}
    if request.model:
        body["model"] = request.model
    if request.system:
        left = as_object(extras.pop("systemInstruction", None)) or {}
        body["systemInstruction"] = {"parts": own_parts(request.system), **left}
    body["contents"] = [
        _content(message, f"contents[{index}].parts", notes)
        for index, message in enumerate(request.messages)
    ]
    config = generation_config(request, request.stop)
    left = as_object(extras.get("generationConfig"))
    if config or left is not None:
        body["generationConfig"] = respelt({**config, **(left or {})})
        extras.pop("generationConfig", None)
    if request.tools:
        body["tools"] = _tools(request.tools)
    if request.tool_choice is not None:
        body["toolConfig"] = tool_config(request.tool_choice)
    return respelt({**extras, **body})


def _content(message: Message, path: str, notes: Notes) -> Json:
    parts: list[Part] = []
    for index, part in enumerate(message.parts):
        if isinstance(part, Thinking) and part.origin != NAME:
            why = f"reasoning of {part.origin or 'unknown origin'} is not its own"
            notes.lost(f"{path}[{index}]", why)
        else:
            parts.append(part)
    content: Json = {"role": _ROLE_WORDS.get(message.role, "user"), "parts": own_parts(parts)}
    content |= message.extras
    if content["role"] is None:
        del content["role"]
    return content


def generation_config(request: Request, stop: tuple[str, ...]) -> Json:
    """What both kinds of request ask of sampling, under the API's names."""
    wishes: Json = {
        "maxOutputTokens": request.max_tokens,
        "temperature": request.temperature,
        "topP": request.top_p,
        "topK": request.top_k,
        "seed": request.seed,
        "stopSequences": list(stop) or None,
    }
    return {name: value for name, value in wishes.items() if value is not None}


def tool_config(choice: ToolChoice) -> Json:
    mode = "ANY" if choice.kind == "tool" else choice.kind.upper()
    calling: Json = {"mode": mode}
    if choice.kind == "tool":
        calling["allowedFunctionNames"] = [choice.name]
    return {"functionCallingConfig": calling}


def _tools(tools: tuple[Tool, ...]) -> list[Json]:
    out: list[Json] = []
    functions: list[Json] = []
    for tool in tools:
        if tool.kind == "server":
            out.append(dict(tool.raw or {}))
            continue
        if not functions:
            out.append({"functionDeclarations": functions})
        functions.append(_function(tool))
    return out


def _function(tool: Tool) -> Json:
    made: Json = {"name": tool.name}
    if tool.description is not None:
        made["description"] = tool.description
    if tool.input_schema is not None:
        made["parametersJsonSchema"] = tool.input_schema
    return respelt({**made, **tool.extras})
