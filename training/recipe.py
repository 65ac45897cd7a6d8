"""A recipe: all arguments of a run, read from a YAML file and the command line."""

import dataclasses
import difflib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml
from transformers import HfArgumentParser, TrainingArguments

from .arguments import DataArguments, EmotionTrainingArguments, ModelArguments
from .command_arguments import (
    CrossValidationArguments,
    LateFusionArguments,
    SpeakerArguments,
    SpeakerTrainingArguments,
)
from .search.space import SearchArguments

# Groups of arguments of each command.
TRAINING = {"model": ModelArguments, "data": DataArguments, "training": EmotionTrainingArguments}
LATE_FUSION = {"late_fusion": LateFusionArguments, "data": DataArguments, "training": EmotionTrainingArguments}
SPEAKER = {"speaker": SpeakerArguments, "training": SpeakerTrainingArguments}
CROSS_VALIDATION = {"cross_validation": CrossValidationArguments, **TRAINING}
SEARCH = {"search": SearchArguments, **TRAINING}

# Fields, and how they begin, that change neither what is learned nor what is measured.
NOT_LEARNED = {
    *("corpus_root", "cache_dir", "output_dir", "resume_from_checkpoint", "save_total_limit", "use_cpu"),
    "disable_tqdm",
    *("report_to", "run_name", "project", "debug", "local_rank", "do_train", "do_eval", "do_predict"),
    *("dataloader_num_workers", "dataloader_pin_memory"),
    *("dataloader_persistent_workers", "dataloader_prefetch_factor"),
}
SHOWN = ("logging_", "log_", "hub_", "push_", "trackio_")


@dataclass(kw_only=True)
class Recipe:
    """All arguments of a run, checked.

    From Python, `emofusion.train(Recipe.read("recipe.yaml", learning_rate=1e-4))` trains a recipe with one setting
    changed, and `recipe.replace(seed=1)` is a copy with another seed.

    Args:
        model: The model.
        data: The corpus, and what is read of it.
        training: Training settings.
        late_fusion: Members and combination; of the command `fit-late-fusion` alone, which has no `model`.
        speaker: Network and recordings; of the command `pretrain-speaker` alone, which has no `model` and no `data`.
        cross_validation: Folds and seeds; of the command `cross-validate` alone.
        search: Search space and number of trials; of the command `search` alone.
    """

    model: ModelArguments | None = None
    data: DataArguments | None = None
    training: EmotionTrainingArguments | SpeakerTrainingArguments | None = None
    late_fusion: LateFusionArguments | None = None
    speaker: SpeakerArguments | None = None
    cross_validation: CrossValidationArguments | None = None
    search: SearchArguments | None = None

    @classmethod
    def read(cls, path: str | Path, groups: Mapping[str, type] = TRAINING, **settings) -> "Recipe":
        """Read a recipe file, with other settings; `**{"model_config.hidden_size": 64}` sets a member of a mapping.

        Args:
            path: A YAML file.
            groups: Dataclass of each group that the command has.
            settings: Values by the name of the option.

        Raises:
            ValueError: If the file cannot be read, or a name or value is wrong.
        """
        return parse_recipe([str(path)], groups).replace(**settings)

    def replace(self, **settings) -> "Recipe":
        """Return a copy with other settings, checked anew; `**{"model_config.hidden_size": 64}` sets a member.

        Args:
            settings: Values by the name of the option.

        Raises:
            ValueError: If a name or value is wrong.
        """
        groups, changes = self.groups(), {}
        known = _known_fields([type(group) for group in groups.values()])
        for option, value in settings.items():
            name, *members = option.split(".")
            if name not in known:
                raise ValueError(f"Unknown setting {option!r}{_did_you_mean(name, known)}")
            if members:
                group = next(group for group in groups.values() if name in {item.name for item in fields(group)})
                value = _set_path(changes.get(name, getattr(group, name)), members, value)
            changes[name] = value
        for group_name, group in groups.items():
            own = {item.name: changes[item.name] for item in fields(group) if item.name in changes}
            if own:
                groups[group_name] = dataclasses.replace(group, **own)
        return Recipe(**groups)

    def groups(self) -> dict[str, Any]:
        """Return the groups that this recipe has, by name."""
        return {item.name: group for item in fields(self) if (group := getattr(self, item.name)) is not None}

    def given(self) -> dict:
        """Return what differs from the defaults, except `output_dir` and `use_cpu`, as a recipe file has it.

        Only the groups `model`, `data` and `training` are included.
        """
        given = {}
        for group in (self.model, self.data, self.training):
            if group is not None:
                given |= _list_given(group)
        return given

    def describe(self) -> dict:
        """Return what decides the model and its scores, where it differs from the defaults; a recipe again.

        Folders, and settings of speed, display and saving, are left out. Equal descriptions mean equal runs.
        """
        return {
            name: value
            for name, value in self.given().items()
            if name not in NOT_LEARNED and not name.startswith(SHOWN)
        }


def parse_recipe(argv: Sequence[str] | None = None, groups: Mapping[str, type] = TRAINING) -> Recipe:
    """Read a recipe and the options behind it: `recipe.yaml --learning_rate 1e-4 --model_config.hidden_size 128`.

    A recipe is a YAML file with any fields of the dataclasses; null means the field's default. Every field is an
    option of the command line too, which wins; a member of a dict field is reached with a dot.

    Args:
        argv: the command line, by default that of the process.
        groups: dataclass of each group that the command has.

    Raises:
        ValueError: if the recipe cannot be read, or a key or option is unknown or of the wrong type.
    """
    arguments = list(groups.values())
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = _Parser(arguments, allow_abbrev=False, usage="%(prog)s [recipe.yaml] [--option value ...]")
    recipe = read_recipe(argv.pop(0), arguments) if argv and not argv[0].startswith("-") else {}
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
        _set_member(recipe, option, value, _known_fields(arguments))
    *parsed, unknown = parser.parse_args_into_dataclasses(
        [*_as_options(recipe), *options], look_for_args_file=False, return_remaining_strings=True
    )
    if unknown:
        hint = _did_you_mean(unknown[0].removeprefix("--"), _known_fields(arguments))
        raise ValueError(f"Unknown option {unknown[0]}{hint}")
    return Recipe(**dict(zip(groups, parsed, strict=True)))


def read_recipe(path: str | Path, arguments: Sequence[type] = tuple(TRAINING.values())) -> dict:
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
    known = _known_fields(arguments)
    if "search" not in known:
        recipe.pop("search", None)  # what scripts/search.py tries; all others leave it alone
    for key in recipe:
        if key not in known:
            raise ValueError(f"{path} has an unknown key {key!r}{_did_you_mean(str(key), known)}")
    return recipe


def _list_given(group: Any) -> dict:
    if isinstance(group, TrainingArguments):
        plain = type(group)(output_dir=group.output_dir, use_cpu=group.use_cpu)
    else:
        plain = type(group)()
    given, usual = (json.loads(json.dumps(_as_plain(part), default=str)) for part in (group, plain))
    return {name: value for name, value in given.items() if value != usual[name]}


def _as_plain(group: Any) -> dict:
    values = group.to_dict() if isinstance(group, TrainingArguments) else vars(group)
    return {item.name: values[item.name] for item in fields(group) if item.name in values}


def _set_path(mapping: Mapping | None, path: Sequence[str], value: Any) -> dict:
    """Return a copy of a mapping with another value at a path of keys."""
    first, *others = path
    return {**(mapping or {}), first: _set_path((mapping or {}).get(first), others, value) if others else value}


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


def _known_fields(arguments: Sequence[type]) -> list[str]:
    return [item.name for group in arguments for item in fields(group) if item.init]


def _did_you_mean(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else "; --help lists what there is."


def _set_member(recipe: dict, option: str, value: str, known: list[str]) -> None:
    """Set `recipe["name"]["a"]["b"]` for the option `--name.a.b`."""
    name, *parents, last = option.removeprefix("--").split(".")
    if name not in known:
        raise ValueError(f"Unknown option {option}{_did_you_mean(name, known)}")
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
