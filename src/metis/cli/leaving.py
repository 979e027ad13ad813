"""The one way out of a command: its exit code, or an error as one line. A traceback only where it was asked for."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from collections.abc import Callable
from typing import Final, NoReturn

from metis.cli.output import note
from metis.errors import MetisError, UsageError

_DEBUG = "METIS_DEBUG"
_WRONG_USAGE: Final = 2
# What a write answers with where there is no file's name in the error: a full disk, a closed or broken output.
_CANNOT_WRITE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})


def ask_for_tracebacks() -> None:
    """Show tracebacks from here on, in this process and in those it starts."""
    os.environ[_DEBUG] = "1"


def leave(command: Callable[[], int]) -> NoReturn:
    """Run a command and leave the process with its exit code."""
    _mend_streams()
    try:
        code = command()
        sys.stdout.flush()
    except MetisError as exc:
        if os.environ.get(_DEBUG):
            traceback.print_exc()
        note(f"metis: {exc}")
        code = _WRONG_USAGE if isinstance(exc, UsageError) else 1
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        code = 0  # whoever read our output has enough (`metis tail | head`): that is no failure
    except Exception as exc:  # noqa: BLE001 - the outermost door: nothing may leave as a traceback
        if os.environ.get(_DEBUG):
            traceback.print_exc()
        elif isinstance(exc, OSError) and exc.errno in _CANNOT_WRITE and exc.filename is None:
            note(f"metis: cannot write: {exc.strerror}")
        else:
            reason = " ".join(str(exc).split())[:300]
            note(
                f"metis: internal error: {type(exc).__name__}: {reason}\n"
                "This is a defect in Metis. Run the same command with METIS_DEBUG=1 and report what it prints, "
                "with the output of 'metis version'."
            )
        code = 1
    _let_go_of_output()
    sys.exit(code)


def _mend_streams() -> None:
    """Give a stream that came closed an end that fails when it is used, and let every text be written.

    Left closed, its number would be the next file's or socket's, and what is printed would land there.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is given. Written to, it answers EBADF, as the closed one would have.
            os.open(os.devnull, os.O_RDONLY if descriptor < 2 else os.O_WRONLY)
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison] -- so it is when it came closed
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for the process's life
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison] -- as above
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as above
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # PYTHONIOENCODING=ascii, odd file names


def _let_go_of_output() -> None:
    """Drop what could not be written: the interpreter would try again, and complain, on its way out."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
