"""The entry point of `emofusion`."""

import importlib
import sys
from collections.abc import Sequence

from .. import __version__
from ..configuration.plain_text import did_you_mean
from .commands import COMMANDS, UsageError
from .door import guarded
from .recipe_help import RECIPE_COMMANDS, format_recipe_help


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The command and its arguments; by default those of the process. `--traceback` among them shows where
            a failure comes from.

    Returns:
        The exit status: 0, 1 if the command failed, 2 if its arguments are wrong, 3 if some rows of its table are errors,
        130 if it was interrupted.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    traceback = "--traceback" in argv
    argv = [argument for argument in argv if argument != "--traceback"]
    command = argv[0] if argv and argv[0] in COMMANDS else None

    def run():
        if command:
            run_command(command, argv[1:])
        else:
            print(describe(argv))

    return guarded(f"emofusion {command}" if command else "emofusion", run, traceback)


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
    import shutil
    import textwrap

    width, columns = max(map(len, COMMANDS)), shutil.get_terminal_size().columns
    lines = [
        textwrap.fill(purpose, columns, initial_indent=f"  {command:<{width}}  ", subsequent_indent=" " * (width + 4))
        for command, purpose in COMMANDS.items()
    ]
    return "\n".join(
        [
            "usage: emofusion COMMAND [ARGUMENT ...]",
            "",
            "Fusion models of speech, text and video for emotion recognition.",
            "",
            "commands:",
            *lines,
            "",
            "emofusion COMMAND --help lists the arguments of a command.",
            "--traceback shows where a failure comes from.",
        ]
    )
