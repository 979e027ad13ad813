"""The one way out of a command: its exit code, or an error as one line. A traceback only where it was asked for."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from metis.cli.output import note
from metis.errors import MetisError

_DEBUG = "METIS_DEBUG"


def ask_for_tracebacks() -> None:
    """Show tracebacks from here on, in this process and in those it starts."""
    os.environ[_DEBUG] = "1"


def leave(command: Callable[[], int]) -> NoReturn:
    """Run a command and leave the process with its exit code."""
    try:
        code = command()
        sys.stdout.flush()
    except MetisError as exc:
        if os.environ.get(_DEBUG):
            traceback.print_exc()
        note(f"metis: {exc}")
        code = 1
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        # Whoever read our output has enough (`metis tail | head`): that is no failure.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as exc:  # noqa: BLE001 - the outermost door: nothing may leave as a traceback
        if os.environ.get(_DEBUG):
            traceback.print_exc()
        else:
            reason = " ".join(str(exc).split())[:300]
            note(
                f"metis: internal error: {type(exc).__name__}: {reason}\n"
                "This is a defect in Metis. Run the same command with METIS_DEBUG=1 and report what it prints, "
                "with the output of 'metis version'."
            )
        code = 1
    sys.exit(code)
