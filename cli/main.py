"""The entry point of `emofusion`. Failures that users can mend become one sentence here, and only here."""

import importlib
import os
import sys
from collections.abc import Sequence

from .. import __version__, explain_missing_module
from .commands import COMMANDS, UsageError, did_you_mean
from .recipe_help import RECIPE_COMMANDS, format_recipe_help

# Failures whose message tells a user enough. A command adds its own in `EXPECTED`; all others show a traceback.
EXPECTED = (ImportError, OSError, ValueError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The command and its arguments; by default those of the process. `--traceback` among them shows where
            a failure comes from.

    Returns:
        The exit status: 0, 1 if the command failed, 2 if its arguments are wrong, 130 if it was interrupted.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ("-h", "--help"):
        print(format_overview())
        return 0
    if argv[0] == "--version":
        print(f"emofusion {__version__}")
        return 0
    command, *arguments = argv
    if command not in COMMANDS:
        return _fail(
            "emofusion", f"There is no command {command!r}{did_you_mean(command, COMMANDS)}; see emofusion --help.", 2
        )
    show_traceback = "--traceback" in arguments
    arguments = [argument for argument in arguments if argument != "--traceback"]
    expected = EXPECTED
    try:
        if command in RECIPE_COMMANDS and {"-h", "--help"} & set(arguments):
            print(format_recipe_help(command))
            return 0
        module = importlib.import_module(f".{command.replace('-', '_')}", __package__)
        expected += getattr(module, "EXPECTED", ())
        module.run(arguments)
        sys.stdout.flush()
    except UsageError as error:
        return _fail(f"emofusion {command}", str(error), 2)
    except KeyboardInterrupt:
        return _fail(f"emofusion {command}", "Interrupted.", 130)
    except BrokenPipeError:  # the reader has gone, as in `emofusion train --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except expected as error:
        if show_traceback:
            raise
        return _fail(f"emofusion {command}", explain_missing_module(error) or str(error) or type(error).__name__, 1)
    return 0


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
