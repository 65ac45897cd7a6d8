"""`--help` of the commands that take a recipe.

The options are the fields of dataclasses, one of which extends transformers' `TrainingArguments`. Importing that takes
several seconds, so the fields are read from the source files instead.
"""

import ast
import importlib
import importlib.util
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .commands import COMMANDS

PACKAGE = __package__.partition(".")[0]

MODEL = ("model", "training.arguments", "ModelArguments")
DATA = ("data", "training.arguments", "DataArguments")
TRAINING = ("training", "training.arguments", "EmotionTrainingArguments")

# Command -> its groups of options: heading, module, dataclass.
RECIPE_COMMANDS = {
    "train": (MODEL, DATA, TRAINING),
    "cross-validate": (("cross-validation", "training.command_arguments", "CrossValidationArguments"), MODEL, DATA, TRAINING),
    "search": (("search", "training.search.space", "SearchArguments"), MODEL, DATA, TRAINING),
    "fit-late-fusion": (("late fusion", "training.command_arguments", "LateFusionArguments"), DATA, TRAINING),
    "pretrain-speaker": (
        ("speaker network", "training.command_arguments", "SpeakerArguments"),
        ("training", "training.command_arguments", "SpeakerTrainingArguments"),
    ),
}
TRAINER = "Trainer's own (transformers.TrainingArguments)"
WIDTH = 110


@dataclass
class Option:
    """One option of a recipe: a field of a dataclass.

    Args:
        name: Name of the field.
        help: What it says of itself.
        default: Its default as Python source; empty if a function makes it.
    """

    name: str
    help: str
    default: str

    def format(self) -> str:
        """Return the option as `--help` prints it."""
        default = f" (default: {self.default})" if self.default not in ("", "None") else ""
        text = textwrap.fill(
            self.help + default, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6, break_on_hyphens=False
        )
        return f"  --{self.name}\n{text}"


def format_recipe_help(command: str) -> str:
    """Return what `emofusion COMMAND --help` prints: our options by subject, then those of transformers."""
    parts = [
        f"usage: emofusion {command} [RECIPE.yaml] [--option value ...]",
        f"{COMMANDS[command]} A recipe is a YAML file with any of these options, without the dashes. Options behind the\n"
        "recipe override it; a dot reaches into a mapping, as in --model_config.hidden_size 128.",
    ]
    for heading, options in read_groups(command).items():
        parts.append("\n".join([f"{heading}:", *(option.format() for option in options)]))
    return "\n\n".join(parts)


def read_groups(command: str) -> dict[str, list[Option]]:
    """Return the options of a command by heading, each once.

    Args:
        command: A key of `RECIPE_COMMANDS`.
    """
    groups, seen, inherited = {}, set(), {}
    for heading, module, name in RECIPE_COMMANDS[command]:
        own, *above = Source.of_ours(module).lineage(name)
        groups[heading] = own
        for options in above:
            inherited |= {option.name: option for option in options if option.name not in inherited}
    ...
    return groups


def locate(tree: ast.Module, module: str, name: str) -> tuple[str, str]:
    """Return the module that a name of a source file comes from, and its name there.

    Raises:
        LookupError: If the file neither defines a class of that name nor imports it.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return module, name
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            if (alias.asname or alias.name) == name:
                package = module.rsplit(".", node.level)[0] if node.level else ""
                return ".".join(filter(None, (package, node.module))), alias.name
    raise LookupError(name)


def find_class(tree: ast.Module, name: str) -> ast.ClassDef:
    """Return the definition of a class."""
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)


@cache
def parse(module: str) -> ast.Module:
    """Return the syntax tree of a module that is not imported."""
    package, *parts = module.split(".")
    folder = importlib.util.find_spec(package).submodule_search_locations[0]
    return ast.parse(Path(folder, *parts).with_suffix(".py").read_text(encoding="utf-8"))
