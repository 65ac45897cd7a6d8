"""The table of commands, and the parser that all of them share."""

import argparse
import contextlib
import gc
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from ..configuration.plain_text import did_you_mean

if TYPE_CHECKING:
    from ..training.recipe import Recipe

# Command -> what it does. The command `cross-validate` is the function `run(argv)` of the module `cross_validate`.
COMMANDS = {
    "train": "Train a model from a recipe.",
    "cross-validate": "Train every fold of a corpus, with one or more seeds, and average the scores.",
    "cross-corpus": "Train on each corpus of a recipe, test on all of them, and make a table of the scores.",
    "compare": "Test whether one system is better than another on the same utterances.",
    "predict": "Recognise the emotion of a recording, or of many.",
    "explain": "Show what words, times and inputs the answer for a recording depends on.",
    "demo-app": "Open a page on this machine on which a model is tried.",
    "serve": "Answer requests over HTTP with a trained model.",
    "prepare": "Check a corpus on disk, list its problems, and cache it.",
    "fit-late-fusion": "Combine the scores of models, which are trained first if they are not.",
    "pretrain-speaker": "Pretrain a speaker network.",
    "import-speaker": "Import a speaker network of another toolkit.",
    "export": "Write a model as an ONNX graph that runs without torch.",
    "merge-adapter": "Merge LoRA adapters into the weights of their base model.",
    "search": "Search for better hyperparameters with Optuna.",
    "push": "Publish a model, or the metric, on the Hugging Face Hub.",
    "memory": "Estimate the GPU memory that training takes, in GB per GPU.",
    "benchmark": "Measure the speed of decoding, corpora, models and caches.",
    "demo": "Train speech, text and fusion models on a small synthetic corpus, and compare them.",
}


# Options whose value may be empty: the transcript of a recording without words is empty.
MAY_BE_EMPTY = ("--text",)


class UsageError(Exception):
    """A command line that cannot be understood."""


class IncompleteError(Exception):
    """A command that has done its work, except for some rows or files."""


class Parser(argparse.ArgumentParser):
    """The parser of one command: raises one sentence where argparse would print its usage and exit.

    Args:
        command: A key of `COMMANDS`, which also gives the description.
        note: What `--help` adds to the description.
        **options: Options of `argparse.ArgumentParser`.
    """

    def __init__(self, command: str, note: str = "", **options):
        description = f"{COMMANDS[command]} {note}".rstrip()
        super().__init__(prog=f"emofusion {command}", description=description, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raise argparse's complaint as one sentence."""
        raise UsageError(f"{message[0].upper()}{message[1:]}; see {self.prog} --help.")

    def parse_args(self, args: Sequence[str], namespace: argparse.Namespace | None = None) -> argparse.Namespace:
        """Parse the arguments of the command; an unknown option names the closest known one."""
        self.check(args)
        # Otherwise `predict MODEL --text TEXT AUDIO` fails: argparse gives up an optional positional at the first option.
        parsed, unknown = self.parse_known_intermixed_args(args, namespace)
        if unknown:
            known = [option for action in self._actions for option in action.option_strings]
            self.error(f"unknown argument {unknown[0]}{did_you_mean(unknown[0], known)}")
        return parsed

    def check(self, args: Sequence[str]) -> None:
        """Raise if an argument is empty, or an option is given twice.

        Args:
            args: Arguments of the command.
        """
        seen, option = set(), ""
        for word in args:
            value = word
            if word.startswith("--"):
                option, equals, value = word.partition("=")
                name = option.replace("_", "-")
                if name in seen:
                    self.error(f"argument {option} is given twice")
                seen.add(name)
                value = value if equals else None
            if value == "" and option not in MAY_BE_EMPTY:
                self.error(f"argument {option} is empty" if option else "an argument is empty")


def yaml_value(text: str) -> Any:
    """Return the value of an option that is YAML text.

    Raises:
        argparse.ArgumentTypeError: If it cannot be read.
    """
    from ..training.yaml_reader import parse_yaml

    try:
        return parse_yaml("its value", text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from error


def positive_int(text: str) -> int:
    """Return the positive whole number that the value of an option is.

    Raises:
        argparse.ArgumentTypeError: If it is none.
    """
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")


def port(lowest: int) -> Callable[[str], int]:
    """Return the function that reads a port from an option.

    Args:
        lowest: The lowest port that a user may choose; 0 means a free one.
    """

    def read(text: str) -> int:
        if text.isdecimal() and lowest <= int(text) < 2**16:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from {lowest} to 65535")

    return read


def positive(text: str) -> float:
    """Return the positive number that the value of an option is; a whole number as an int.

    Raises:
        argparse.ArgumentTypeError: If it is none.
    """
    with contextlib.suppress(ValueError):
        number = int(text) if text.isdecimal() else float(text)
        if 0 < number < math.inf:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")


def read_recipe(argv: Sequence[str], groups: Mapping[str, type]) -> "Recipe":
    """Read a recipe and the options behind it.

    Args:
        argv: Arguments of the command.
        groups: Dataclass of each group of arguments that the command has.

    Raises:
        UsageError: If the recipe or an option is wrong, or nothing is given.
    """
    if not argv:
        raise UsageError("No recipe is given; write RECIPE.yaml [--option value ...], or see --help.")
    from ..training.recipe import parse_recipe

    if not gc.get_freeze_count():
        gc.freeze()  # the libraries: every training looks for garbage, which they are not
    try:
        return parse_recipe(argv, groups)
    except ValueError as error:
        raise UsageError(str(error)) from error
