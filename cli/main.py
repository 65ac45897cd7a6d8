"""The entry point of `emofusion`. Failures that users can mend become one sentence here, and only here."""

import importlib
import os
import sys
from collections.abc import Sequence

from .. import __version__, explain_missing_module
from .commands import COMMANDS, UsageError, did_you_mean
from .recipe_help import RECIPE_COMMANDS, format_recipe_help

# Failures whose message tells a user enough, of all commands and of single ones. All others show a traceback.
EXPECTED = (ImportError, OSError, ValueError)
EXPECTED_BY = {"benchmark": (RuntimeError,), "predict": (RuntimeError, TypeError), "prepare": (TypeError,)}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The command and its arguments; by default those of the process. `--traceback` among them shows where
            a failure comes from.

    Returns:
        The exit status: 0, 1 if the command failed, 2 if its arguments are wrong, 130 if it was interrupted.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    traceback = "--traceback" in argv
    argv = [argument for argument in argv if argument != "--traceback"]
    command = argv[0] if argv and argv[0] in COMMANDS else None
    program = f"emofusion {command}" if command else "emofusion"
    try:
        if command:
            run_command(command, argv[1:])
        else:
            print(describe(argv))
        print(end="", flush=True)  # unlike sys.stdout.flush(), also if standard output is closed
    except UsageError as error:
        return _fail(program, str(error), 2)
    except KeyboardInterrupt:
        return _fail(program, "Interrupted.", 130)
    except BrokenPipeError:  # nobody reads on, as in `emofusion train --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if traceback or not isinstance(error, EXPECTED + EXPECTED_BY.get(command, ())):
            raise
        return _fail(program, explain_missing_module(error) or str(error) or type(error).__name__, 1)
    return 0


def run_command(command: str, arguments: list[str]) -> None:
    """Run a command, or print its help."""
    if command in RECIPE_COMMANDS and {"-h", "--help"} & set(arguments):
        print(format_recipe_help(command))
    else:
        importlib.import_module(f".{command.replace('-', '_')}", __package__).run(arguments)


def describe(argv: Sequence[str]) -> str:
    """Return what a command line without a command prints.

    Raises:
        UsageError: If it names an unknown command.
    """
    if not argv or argv[0] in ("-h", "--help"):
        return format_overview()
    if argv[0] == "--version":
        return f"emofusion {__version__}"
    hint = did_you_mean(argv[0], [*COMMANDS, "--help", "--version"])
    raise UsageError(f"There is no command {argv[0]!r}{hint}; see emofusion --help.")


def format_overview() -> str:
    """Return what `emofusion --help` prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {command:<{width}}  {purpose}" for command, purpose in COMMANDS.items()]
    return "\n".join(
        [
            "usage: emofusion COMMAND [ARGUMENT ...]",
            "",
            "Fusion models of speech, text and video for emotion recognition.",
            "",
            "commands:",
            *lines,
            "",
            "emofusion COMMAND --help lists the arguments of a command; --traceback shows where a failure comes from.",
        ]
    )


def _fail(program: str, message: str, status: int) -> int:
    """Print a message of any number of lines as one line on the standard error stream."""
    print(f"{program}: {' '.join(message.split())}", file=sys.stderr)
    return status
