"""The command `metis`. `up` goes a short way that loads no command line machinery: it must serve at once."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit code: 0 done, 1 failed, 2 wrong usage."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["up"]:
        from metis.cli.quick import parse_up

        options = parse_up(arguments[1:])
        if options is not None:
            from metis.cli.leaving import leave
            from metis.cli.up import run_up

            leave(lambda: run_up(options))
    from metis.cli.app import run_app
    from metis.cli.leaving import leave

    leave(lambda: run_app(arguments))


if __name__ == "__main__":
    main()
