"""The commands of `metis`, with their options and help. What a command does is loaded when it is asked for.

Loading everything here would make every command, and shell completion, pay for the heaviest one; so each
function imports the module that does its work.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from metis import __version__
from metis.cli import conformance_options
from metis.cli.groups import config, keys, local
from metis.cli.options import ConfigOption, DataOption, JsonOption, examples, leave_with, loaded

_CONTEXT = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="metis",
    help="An LLM gateway that makes the money software agents spend on language models visible, "
    "governable and smaller.",
    epilog=examples("metis up", "metis connect claude --write", "metis exec -- claude -p 'hello'"),
    context_settings=_CONTEXT,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(keys, name="keys")
app.add_typer(config, name="config")
app.add_typer(local, name="local")


def run_app(arguments: Sequence[str]) -> int:
    """Run one command; usage errors leave with 2. Whatever a command raises passes through."""
    try:
        app(args=list(arguments), prog_name="metis")
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else 1
    return 0


def _show_version(value: bool) -> None:
    if value:
        print(f"metis {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks of errors (or set METIS_DEBUG=1).")
    ] = False,
    version_: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    if debug:
        from metis.cli.leaving import ask_for_tracebacks

        ask_for_tracebacks()


@app.command(
    epilog=examples(
        "metis up",
        "metis up --port 9000 --workers 4",
        "metis up --port 0 --ready-file /tmp/ready.json",
    )
)
def up(
    config: ConfigOption = None,
    data: DataOption = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on (default: 127.0.0.1).")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port of the gateway, 0 for a free one (default: 8080).")
    ] = None,
    admin_host: Annotated[
        str | None, typer.Option(help="Address of the admin plane (default: 127.0.0.1).")
    ] = None,
    admin_port: Annotated[
        int | None, typer.Option(help="Port of the admin plane, 0 for a free one (default: 8081).")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes (default: 1).")] = None,
    ready_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write url, admin_url, key and admin_token there (mode 0600) once it serves; the key ends with it.",
        ),
    ] = None,
    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", help="Show a key that is revoked when the gateway ends.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no banner.")] = False,
) -> None:
    """Start the gateway and serve until Ctrl-C.

    With ANTHROPIC_API_KEY, OPENAI_API_KEY or OPENROUTER_API_KEY set it serves those; with none, a small embedded model.
    """
    from metis.cli.up import run_up
    from metis.config import UpOptions

    options = UpOptions(
        config=config,
        data=data,
        host=host,
        port=port,
        admin_host=admin_host,
        admin_port=admin_port,
        workers=workers,
        ready_file=ready_file,
        ephemeral=ephemeral,
        quiet=quiet,
    )
    leave_with(run_up(options))


@app.command(
    name="exec",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog=examples(
        "metis exec -- claude -p 'explain this repository'",
        "metis exec -- codex exec 'fix the tests'",
        "metis exec --receipt r.json -- python script.py",
    ),
)
def exec_(
    command: Annotated[list[str], typer.Argument(metavar="-- CMD...", help="The command to run.")],
    url: Annotated[
        str | None, typer.Option(help="Use the gateway at this address instead of starting one.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="The Metis key to use with --url.")] = None,
    model: Annotated[
        str | None, typer.Option(help="The model for tools whose configuration must name one.")
    ] = None,
    receipt: Annotated[
        str | None,
        typer.Option("--receipt", metavar="FILE", help="Write the receipt there, as JSON."),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Run a command through a gateway and show what it cost.

    The command gets the environment, flags or private configuration its tool needs, and no provider key.

    Its standard output and exit code are its own; the receipt goes to standard error.
    """
    from metis.cli.running import ExecRequest, run_exec

    request = ExecRequest(
        command=command, url=url, key=key, model=model, receipt_file=receipt, as_json=as_json
    )
    leave_with(run_exec(loaded(config, data), request))


@app.command(
    epilog=examples(
        "metis connect claude", "metis connect codex --write", "metis connect codex --undo"
    )
)
def connect(
    tool: Annotated[
        str,
        typer.Argument(
            help="claude, codex, opencode, cline, continue, cursor, aider, sdk, qwen, kilo, copilot or pi."
        ),
    ],
    write: Annotated[
        bool, typer.Option("--write", help="Put it in place; what was there is backed up.")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Restore what was there and revoke the tool's key.")
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(help="The gateway's address (default: the running or configured one)."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            help="The Metis key to use, - to read it from standard input (default: a new one)."
        ),
    ] = None,
    key_env: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Let the tool read its key from this variable."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="The model to configure (default: the tool's own, where it has one)."),
    ] = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Show what a tool needs to go through the gateway, or put it in place."""
    from metis.cli.connect import ConnectRequest, run_connect

    if write and undo:
        raise typer.BadParameter("--write and --undo are opposites; pass one of them")
    request = ConnectRequest(
        tool=tool, write=write, undo=undo, url=url, key=key, key_env=key_env, model=model
    )
    leave_with(run_connect(loaded(config, data).config, request))


@app.command()
def models(
    as_json: JsonOption = False, config: ConfigOption = None, data: DataOption = None
) -> None:
    """List the models that may be asked for, who serves each, and the default."""
    from metis.cli.models import list_models

    leave_with(list_models(loaded(config, data).config, as_json=as_json))


@app.command(
    epilog=examples(
        "metis receipt",
        "metis receipt --list",
        "metis receipt 5f0c --turns",
        "metis receipt 5f0c --fidelity",
        "metis receipt turn_01k3...",
    )
)
def receipt(
    session: Annotated[
        str | None,
        typer.Argument(
            help="A session, turn or response id, or a session id's start (default: the last session)."
        ),
    ] = None,
    turns: Annotated[
        bool, typer.Option("--turns", help="List its turns, and why each went there.")
    ] = False,
    fidelity: Annotated[
        bool,
        typer.Option("--fidelity", help="Show what was edited, mapped, carried and lost instead."),
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="List sessions instead.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many sessions to list.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Show what a session used and cost, and what the baseline model would have cost."""
    from metis.cli.receipts import list_sessions, show_fidelity, show_receipt

    effective = loaded(config, data).config
    if list_:
        leave_with(list_sessions(effective, limit=limit, as_json=as_json))
    if fidelity:
        leave_with(show_fidelity(effective, session, as_json=as_json))
    leave_with(show_receipt(effective, session, turns=turns, as_json=as_json))


@app.command(
    epilog=examples(
        "metis tail", "metis tail -n 50 --no-follow", "metis tail --json | jq .cost_usd"
    )
)
def tail(
    last: Annotated[
        int, typer.Option("-n", "--last", min=0, max=1000, help="Turns to begin with.")
    ] = 10,
    follow: Annotated[bool, typer.Option(help="Keep printing turns as they end.")] = True,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Watch turns as they end: client, model, tokens, cost, time."""
    from metis.cli.receipts import tail_turns

    leave_with(tail_turns(loaded(config, data).config, last=last, follow=follow, as_json=as_json))


@app.command()
def doctor(
    online: Annotated[
        bool, typer.Option("--online", help="Also ask the providers, with their keys.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Tell what is wrong and how to mend it; leaves with 1 when something is broken."""
    from metis.cli.doctor import run_doctor

    leave_with(run_doctor(loaded(config, data), online=online, as_json=as_json))


@app.command(
    epilog=examples(
        "metis conformance --target http://127.0.0.1:8080 --key $KEY --shape anthropic",
        "metis conformance --target http://127.0.0.1:4000 --key sk-1234 --only blocks --only usage",
        "metis conformance --list --shape responses",
    )
)
def conformance(
    target: conformance_options.Target = "",
    key: conformance_options.Key = "",
    shape: conformance_options.Shape = None,
    only: conformance_options.Only = None,
    list_: conformance_options.List = False,
    upstream_host: conformance_options.UpstreamHost = "127.0.0.1",
    upstream_port: conformance_options.UpstreamPort = 9400,
    anthropic_model: conformance_options.AnthropicModel = "claude-sonnet-4-5",
    openai_model: conformance_options.OpenaiModel = "gpt-4o",
    responses_model: conformance_options.ResponsesModel = "gpt-5",
    alias: conformance_options.Alias = None,
    header: conformance_options.Header = None,
    silence: conformance_options.Silence = 20.0,
    json_file: conformance_options.JsonFile = None,
) -> None:
    """Try a gateway's wire against defects that users of gateways have reported.

    It starts an upstream of its own, to which the gateway must forward, and judges what arrives there and comes back.

    Leaves with 0 when all that applies passes, 1 when something fails, 2 for wrong usage.
    """
    from metis.cli import conformance as command

    try:
        shapes = command.shapes_from(shape or ())
        cases = command.cases_of(shapes, only or ())
        if list_:
            leave_with(command.list_cases(cases))
        models = (anthropic_model, openai_model, responses_model)
        request = command.ConformanceRequest(
            target=command.target_from(target, key, models, header or (), alias),
            cases=cases,
            silence_s=silence,
            upstream_host=upstream_host,
            upstream_port=upstream_port,
            json_file=json_file,
        )
    except command.WrongUse as exc:
        raise typer.BadParameter(str(exc)) from exc
    leave_with(command.run_conformance(request))


@app.command()
def version(as_json: JsonOption = False) -> None:
    """Print the versions of Metis and of what it runs on."""
    import platform

    found = {
        "metis": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "location": str(Path(__file__).parent.parent),
        "executable": sys.executable,
    }
    if as_json:
        from metis.cli.output import print_json

        print_json(found)
    else:
        print("\n".join(f"{name:<11}{value}" for name, value in found.items()))
