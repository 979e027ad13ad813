"""The options of `metis conformance`."""

from __future__ import annotations

from typing import Annotated

import typer

Target = Annotated[str, typer.Option(metavar="URL", help="The gateway's address, without /v1.")]
Key = Annotated[str, typer.Option(envvar="METIS_KEY", help="A key that the gateway accepts.")]
Shape = Annotated[
    list[str] | None,
    typer.Option(
        help="The client's API: anthropic, openai or responses; may be repeated (default: all)."
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(metavar="ID", help="Play this scenario, case or group; may be repeated."),
]
List = Annotated[bool, typer.Option("--list", help="List the cases instead.")]
UpstreamHost = Annotated[str, typer.Option(help="Address the suite's upstream listens on.")]
UpstreamPort = Annotated[
    int, typer.Option(min=1, max=65535, help="Its port, to which the gateway forwards.")
]
AnthropicModel = Annotated[str, typer.Option(help="The model it forwards to /v1/messages.")]
OpenaiModel = Annotated[str, typer.Option(help="The model it forwards to /v1/chat/completions.")]
ResponsesModel = Annotated[str, typer.Option(help="The model it forwards to /v1/responses.")]
Alias = Annotated[
    str | None, typer.Option(help="Another name of the Anthropic model, without its maker's name.")
]
Header = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[UPSTREAM=]NAME:VALUE",
        help="Send this too, or only to reach one upstream (anthropic=...); may be repeated.",
    ),
]
Silence = Annotated[
    float, typer.Option(min=1, max=600, help="How long a silent upstream is silent, in seconds.")
]
JsonFile = Annotated[
    str | None, typer.Option("--json", metavar="FILE", help="Write all verdicts there.")
]
