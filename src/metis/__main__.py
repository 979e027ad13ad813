"""The command `metis`. `up` goes a short way that loads no command line machinery: it must serve at once."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit code: 0 done, 1 failed, 2 wrong usage, 130 Ctrl-C."""
    try:
        # Loaded here, where Ctrl-C is caught: it takes a tenth of a second.
        from metis.cli.leaving import leave
    except KeyboardInterrupt:
        sys.exit(130)
    arguments = sys.argv[1:]
    leave(lambda: _run(arguments))


def _run(arguments: list[str]) -> int:
    # Each way loads only what it needs.
    if arguments[:1] == ["up"]:
        from metis.cli.quick import parse_up

        options = parse_up(arguments[1:])
        if options is not None:
            # structlog loads Rich where it is installed, for tracebacks that are printed plainly here: a
            # tenth of a start. None bars a module.
            sys.modules["rich"] = None  # pyright: ignore[reportArgumentType] -- that is how one is barred
            from metis.cli.up import run_up

            del sys.modules["rich"]
            return run_up(options)
    from metis.cli.app import run_app

    return run_app(arguments)


if __name__ == "__main__":
    main()
