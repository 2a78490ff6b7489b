"""What a user sees when something is wrong: one line, and an exit code.

Bad input gives exit code 2, Ctrl-C 130. With TOMBOLA_DEBUG=1 errors keep their traceback.
"""

import os
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

__all__ = ["OneLineErrors"]

BAD_INPUT = 2
INTERRUPTED = 130


class OneLineErrors(TyperGroup):
    """A group of commands that says what is wrong in one line."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, and leave with the exit code."""
        try:
            code = super().main(
                args,
                prog_name,
                complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                **extra,
            )
        except Exception as error:
            usage = getattr(error, "format_message", None)  # of an error in the arguments
            message = f"{usage()}{_value_given(error)}" if usage is not None else _input_error(error)
            if message is None or (usage is None and os.environ.get("TOMBOLA_DEBUG")):
                raise
            code = _say_error(str(message))
        except KeyboardInterrupt:
            code = INTERRUPTED
        code = code if isinstance(code, int) else 0
        if code == INTERRUPTED:
            typer.echo("interrupted; what is written is whole", err=True)
        return sys.exit(code) if standalone_mode else code


def _value_given(error: Exception) -> str:
    """Return what came of an option whose value is of the wrong kind, where the message leaves that out."""
    details = getattr(error.__cause__, "errors", None)
    return f", but got {details()[0]['input']!r}" if details is not None else ""


def _input_error(error: Exception) -> str | None:
    """Return the message of an error that comes of bad input; None of any other, which is a fault of ours."""
    if isinstance(error, BrokenPipeError):
        return None
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, ValueError | OSError):
        return str(error)
    if isinstance(error, KeyError):
        from tombola.sources import H5adError

        return str(error) if isinstance(error, H5adError) else None
    if isinstance(error, RuntimeError) and "tombola.training" in sys.modules:
        from tombola.training import TrainingError

        return str(error) if isinstance(error, TrainingError) else None
    return None


def _say_error(message: str) -> int:
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    return BAD_INPUT
