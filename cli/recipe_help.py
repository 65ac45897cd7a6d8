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
from functools import cache
from pathlib import Path
from typing import Any

from .commands import COMMANDS

PACKAGE = __package__.partition(".")[0]

MODEL = ("model", "training.arguments", "ModelArguments")
DATA = ("data", "training.arguments", "DataArguments")
TRAINING = ("training", "training.arguments", "EmotionTrainingArguments")
LATE_FUSION = ("late fusion", "training.command_arguments", "LateFusionArguments")

# Command -> its groups of options: heading, module, dataclass.
RECIPE_COMMANDS = {
    "train": (MODEL, DATA, TRAINING),
    "cross-validate": (
        ("cross-validation", "training.command_arguments", "CrossValidationArguments"),
        LATE_FUSION,
        MODEL,
        DATA,
        TRAINING,
    ),
    "cross-corpus": (("cross-corpus", "training.command_arguments", "CrossCorpusArguments"), MODEL, DATA, TRAINING),
    "search": (("search", "training.search.space", "SearchArguments"), MODEL, DATA, TRAINING),
    "fit-late-fusion": (LATE_FUSION, DATA, TRAINING),
    "pretrain-speaker": (
        ("speaker network", "training.command_arguments", "SpeakerArguments"),
        ("training", "training.command_arguments", "SpeakerTrainingArguments"),
    ),
}
SAVING = "evaluation, saving, logging and publishing"
TRAINER = "Trainer's other options"
# Fields of transformers to list under "training", and prefixes of names to list under `SAVING`.
COMMON = (
    "output_dir",
    "num_train_epochs",
    "max_steps",
    "per_device_train_batch_size",
    "learning_rate",
    "warmup_steps",
    "seed",
    "bf16",
)
SAVED = ("eval_", "save_", "load_best", "metric_for", "greater_is", "resume_from", "push_", "hub_")
SAVED += ("logging_", "log_", "report_to", "run_name", "disable_tqdm")
BASES = {"TrainingArguments": ("transformers.training_args", "TrainingArguments")}
WIDTH = 84
ABOUT_RECIPES = (
    "A recipe is a YAML file with any of these options, without the dashes. Options after the recipe override it; a dot "
    "reaches into a mapping, as in --model_config.hidden_size 128. The recipes of emofusion need no copy: "
    "recipes/spoken/text.yaml is found in the package if the working folder has no such file."
)


@dataclass
class Option:
    """One option of a recipe: a field of a dataclass.

    Args:
        name: Name of the field.
        help: Its help text.
        default: Its default; None if it has none, or if a function makes it.
    """

    name: str
    help: str
    default: Any = None

    def format(self) -> str:
        """Return the option as `--help` prints it."""
        default = str(self.default).lower() if isinstance(self.default, bool) else self.default
        text = self.help if default in (None, "") else f"{self.help} (default: {default})"
        indent = 6 * " "
        return f"  --{self.name}\n" + textwrap.fill(
            text,
            WIDTH,
            initial_indent=indent,
            subsequent_indent=indent,
            break_on_hyphens=False,
            break_long_words=False,
        )


def format_recipe_help(command: str) -> str:
    """Return what `emofusion COMMAND --help` prints: our options by subject, then those of transformers."""
    parts = [
        f"usage: emofusion {command} [RECIPE.yaml] [--option value ...]",
        textwrap.fill(f"{COMMANDS[command]} {ABOUT_RECIPES}", WIDTH),
    ]
    for heading, options in group_options(command).items():
        parts.append("\n".join([f"{heading}:", *(option.format() for option in options)]))
    return "\n\n".join(parts)


def group_options(command: str) -> dict[str, list[Option]]:
    """Return the options of a command by heading, each once.

    Args:
        command: A key of `RECIPE_COMMANDS`.
    """
    groups, trainer = {}, {}
    for heading, module, name in RECIPE_COMMANDS[command]:
        ours = {}
        for source, ancestor in lineage(f"{PACKAGE}.{module}", name):
            fields = ours if source.startswith(f"{PACKAGE}.") else trainer
            for option in read_fields(source, ancestor):
                if option.name not in ours:
                    fields.setdefault(option.name, option)
        groups[heading] = list(ours.values())
    promoted = [trainer.pop(name) for name in COMMON if name in trainer]
    groups["training"] = [*promoted, *groups["training"]]
    saved = [option for option in [*groups["training"], *trainer.values()] if option.name.startswith(SAVED)]
    groups["training"] = [option for option in groups["training"] if option not in saved]
    groups[SAVING] = saved
    groups[TRAINER] = [option for option in trainer.values() if option not in saved]
    return groups


def lineage(module: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield the module and name of a class, then those of its bases."""
    yield module, name
    tree = parse(module)
    for base in find_class(tree, name).bases:
        if isinstance(base, ast.Name):
            yield from lineage(*BASES.get(base.id) or locate(tree, module, base.id))


def read_fields(module: str, name: str) -> list[Option]:
    """Return the fields that a dataclass defines itself, without those of its bases.

    Args:
        module: Full name of the module, which is not imported.
        name: Name of the class.
    """
    tree, options = parse(module), []
    for statement in find_class(tree, name).body:
        if not isinstance(statement, ast.AnnAssign) or "ClassVar" in ast.unparse(statement.annotation):
            continue
        keywords = {word.arg: word.value for word in getattr(statement.value, "keywords", ())}
        if "init" in keywords:  # no argument of the class
            continue
        texts = keywords.get("metadata")
        text = dict(zip(map(ast.literal_eval, texts.keys), texts.values, strict=True))["help"] if texts else None
        options.append(
            Option(
                statement.target.id,
                evaluate(text, tree, module) if text else "",
                evaluate(keywords["default"], tree, module) if "default" in keywords else None,
            )
        )
    return options


def evaluate(expression: ast.expr, tree: ast.Module, module: str) -> Any:
    """Return the value of an expression in a source file; None if it uses names of unknown origin.

    Modules that define the names are imported.
    """
    scope = {}
    for name in {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}:
        constants = [
            node.value for node in tree.body if isinstance(node, ast.Assign) and is_name(node.targets[0], name)
        ]
        if constants:
            scope[name] = evaluate(constants[0], tree, module)
            continue
        try:
            source, name_there = locate(tree, module, name)
        except LookupError:
            return None
        scope[name] = getattr(importlib.import_module(source), name_there)
    return eval(compile(ast.Expression(expression), module, "eval"), scope)


def is_name(expression: ast.expr, name: str) -> bool:
    """Return whether an expression is a name alone."""
    return isinstance(expression, ast.Name) and expression.id == name


def locate(tree: ast.Module, module: str, name: str) -> tuple[str, str]:
    """Return the module that defines a name of a source file, and the name there.

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
