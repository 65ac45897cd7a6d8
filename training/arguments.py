"""Arguments of a run, and the recipe files that give them."""

import difflib
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import yaml
from transformers import HfArgumentParser, TrainingArguments

from ..configuration import VARIANTS


@dataclass
class ModelArguments:
    """Which model is trained."""

    variant: str = field(default="cross_attention", metadata={"help": f"One of {', '.join(VARIANTS)}."})
    audio_model_name_or_path: str | None = field(
        default=None,
        metadata={"help": "Pre-trained speech encoder. Without one, `model_config.audio_config` is built at random."},
    )
    text_model_name_or_path: str | None = field(
        default=None,
        metadata={
            "help": "Pre-trained text encoder and its tokenizer. Without one, `model_config.text_config` is built at "
            "random and a tokenizer is trained on the training transcripts."
        },
    )
    vision_model_name_or_path: str | None = field(
        default=None,
        metadata={"help": "Pre-trained encoder of video frames. Without one, `model_config.vision_config` is built."},
    )
    model_config: dict | str | None = field(
        default_factory=dict, metadata={"help": "Fields of the variant's configuration, as JSON."}
    )

    def __post_init__(self):
        self.model_config = _as_dict("model_config", self.model_config)
        if self.variant not in VARIANTS:
            raise ValueError(f"variant is {self.variant!r}; choose one of {', '.join(VARIANTS)}.")


@dataclass
class DataArguments:
    """What it is trained on."""

    corpus: str = field(default="spoken", metadata={"help": "Name of the corpus."})
    corpus_root: str | None = field(default=None, metadata={"help": "Folder of the corpus."})
    corpus_options: dict | str | None = field(
        default_factory=dict, metadata={"help": "Options of the corpus, as JSON."}
    )
    max_seconds: float | None = field(default=None, metadata={"help": "Cut recordings to this many seconds."})

    def __post_init__(self):
        self.corpus_options = _as_dict("corpus_options", self.corpus_options)
        for name, argument in (("name", "corpus"), ("root", "corpus_root")):
            if name in self.corpus_options:
                raise ValueError(f"corpus_options has {name!r}, which is an argument of its own: use {argument}.")


@dataclass
class EmotionTrainingArguments(TrainingArguments):
    """`TrainingArguments` whose defaults select the checkpoint on validation UA, and what they lack."""

    learning_rates: dict | str | None = field(
        default_factory=dict,
        metadata={
            "help": "Learning rate of a component, by the name of its module, as JSON: "
            '{"audio_encoder": 1e-5, "text_encoder": 2e-5}. The others learn at `learning_rate`.'
        },
    )
    class_weights: str | None = field(
        default=None,
        metadata={"help": '"balanced" (inverse frequency in the training part) or a JSON list, one weight a class.'},
    )
    eval_strategy: str = field(default="epoch", metadata={"help": "When to measure on the validation part."})
    save_strategy: str = field(default="epoch", metadata={"help": "When to save; must agree with eval_strategy."})
    save_total_limit: int | None = field(default=1, metadata={"help": "Checkpoints to keep besides the best."})
    load_best_model_at_end: bool = field(default=True, metadata={"help": "End with the best checkpoint."})
    metric_for_best_model: str | None = field(default="ua", metadata={"help": "Validation figure that is best."})
    remove_unused_columns: bool = field(default=False, metadata={"help": "The collator reads the rows by name."})
    logging_steps: float = field(default=10, metadata={"help": "Steps between two lines of the log."})

    def __post_init__(self):
        super().__post_init__()
        self.dataloader_pin_memory &= self.device.type != "cpu"  # where there is nothing to pin it for, torch warns
        if self.class_weights is not None and self.label_smoothing_factor:
            raise ValueError(
                "class_weights and label_smoothing_factor exclude each other: smoothing takes the loss over from the model."
            )
        self.learning_rates = _as_dict("learning_rates", self.learning_rates)
        for component, rate in self.learning_rates.items():
            if not isinstance(rate, (int, float)):
                raise ValueError(f"learning_rates gives {component!r} the rate {rate!r}, which is not a number.")


ARGUMENTS = (ModelArguments, DataArguments, EmotionTrainingArguments)


def parse_recipe(
    argv: Sequence[str] | None = None,
) -> tuple[ModelArguments, DataArguments, EmotionTrainingArguments]:
    """Read a recipe and the options behind it: `recipe.yaml --learning_rate 1e-4 --model_config.hidden_size 128`.

    A recipe is a YAML file with any fields of the three dataclasses; null means the field's default. Every field is
    an option of the command line too, which wins; a member of a dict field is reached with a dot.

    Args:
        argv: the command line, by default that of the process.

    Raises:
        ValueError: if the recipe cannot be read, or a key or option is unknown or of the wrong type.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = _Parser(ARGUMENTS, allow_abbrev=False, usage="%(prog)s [recipe.yaml] [--option value ...]")
    recipe = read_recipe(argv.pop(0)) if argv and not argv[0].startswith("-") else {}
    options = []
    while argv:
        argument = argv.pop(0)
        option, equals, value = argument.partition("=")
        if not option.startswith("--") or "." not in option:
            options.append(argument)
            continue
        if not equals:
            if not argv:
                raise ValueError(f"{option} has no value; write {option} VALUE.")
            value = argv.pop(0)
        _set_member(recipe, option, value)
    arguments = parser.parse_args_into_dataclasses(
        [*_as_options(recipe), *options], look_for_args_file=False, return_remaining_strings=True
    )
    if arguments[-1]:
        raise ValueError(f"Unknown option {arguments[-1][0]}{_did_you_mean(arguments[-1][0].removeprefix('--'))}")
    return arguments[:3]


def read_recipe(path: str | Path) -> dict:
    """The fields that a recipe sets.

    Raises:
        ValueError: if the file is missing, is no mapping, or has a key that no argument has.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"There is no recipe {path}; give the path of a YAML file, as those in recipes/.")
    try:
        recipe = yaml.load(path.read_text(encoding="utf-8"), _Loader) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not readable YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(recipe, dict):
        raise ValueError(f"{path} must be a mapping of argument names to values.")
    for key in recipe:
        if key not in _known_fields():
            raise ValueError(f"{path} has an unknown key {key!r}{_did_you_mean(str(key))}")
    return recipe


class _Parser(HfArgumentParser):
    """Raises one sentence where argparse would print its whole usage."""

    def error(self, message: str):
        raise ValueError(f"{message[0].upper()}{message[1:]}.")


class _Loader(yaml.SafeLoader):
    """YAML in which `1e-4` is a number."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def _known_fields() -> list[str]:
    return [item.name for arguments in ARGUMENTS for item in fields(arguments) if item.init]


def _did_you_mean(name: str) -> str:
    close = difflib.get_close_matches(name, _known_fields(), n=1)
    return f"; did you mean {close[0]!r}?" if close else "; --help lists what there is."


def _set_member(recipe: dict, option: str, value: str) -> None:
    """Set `recipe["name"]["a"]["b"]` for the option `--name.a.b`."""
    name, *parents, last = option.removeprefix("--").split(".")
    if name not in _known_fields():
        raise ValueError(f"Unknown option {option}{_did_you_mean(name)}")
    members = recipe
    for parent in (name, *parents):
        if members.get(parent) is None:
            members[parent] = {}
        members = members[parent]
        if not isinstance(members, dict):
            raise ValueError(f"{option} has no place: what is before the last dot is not a mapping.")
    try:
        members[last] = yaml.load(value, _Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"{option} has the value {value!r}, which is not readable YAML.") from error


def _as_options(recipe: dict) -> list[str]:
    """The recipe as a command line, so that one parser converts and checks the values of both."""
    options = []
    for key, value in recipe.items():
        if value is None:
            continue
        options.append(f"--{key}")
        if isinstance(value, list) and key != "class_weights":
            options += [str(item) for item in value]
        elif isinstance(value, (dict, list)):
            options.append(json.dumps(value))
        else:
            options.append(str(value))
    return options


def _as_dict(name: str, value: dict | str | None) -> dict:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f"{name} is not JSON: {error}.") from error
    if not isinstance(value or {}, dict):
        raise ValueError(f"{name} must be a mapping, not {value!r}.")
    return dict(value or {})
