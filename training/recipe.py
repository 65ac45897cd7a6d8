"""A recipe: all arguments of a run, read from a YAML file and the command line."""

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from transformers import TrainingArguments

from .arguments import DataArguments, EmotionTrainingArguments, ModelArguments
from .command_arguments import (
    CrossValidationArguments,
    LateFusionArguments,
    SpeakerArguments,
    SpeakerTrainingArguments,
)
from .search.space import SearchArguments
from .settings import field_types, is_switch, override, parse_yaml, read_settings

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
    def read(cls, path: str | Path | None = None, groups: Mapping[str, type] = TRAINING, **settings) -> "Recipe":
        """Read a recipe file, with some settings changed.

        Args:
            path: A YAML file; None starts from the defaults.
            groups: Dataclass of each group that the command has: `TRAINING`, `SPEAKER`, ...
            settings: Values by the name of the option; `**{"model_config.hidden_size": 128}` sets a member of a mapping.
                None is the default of the option.

        Raises:
            ValueError: If a file cannot be read, or a name or value is wrong.
        """
        known = field_types(groups)
        given = {} if path is None else read_settings(path, known)
        return cls._build(override(given, settings, known), groups)

    @classmethod
    def _build(cls, settings: Mapping, groups: Mapping[str, type]) -> "Recipe":
        return cls(
            **{
                group: arguments(
                    **{item.name: settings[item.name] for item in fields(arguments) if item.name in settings}
                )
                for group, arguments in groups.items()
            }
        )

    def replace(self, **settings) -> "Recipe":
        """Return a copy with some settings changed, and checked anew.

        Args:
            settings: As in `read`.

        Raises:
            ValueError: If a name or value is wrong.
        """
        groups = self.groups()
        known = field_types({name: type(group) for name, group in groups.items()})
        given = {item.name: getattr(group, item.name) for group in groups.values() for item in fields(group)}
        changed = override(given, settings, known)
        names = {option.partition(".")[0] for option in settings}
        for group_name, group in groups.items():
            own = {item.name: changed.get(item.name, _default(item)) for item in fields(group) if item.name in names}
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

    Each field of the groups is an option, and overrides the recipe. A dot reaches into a mapping. An option takes the
    words up to the next one; a switch needs none (`--bf16`), and `--no_bf16` turns it off.

    Args:
        argv: The arguments of the command; by default those of the process.
        groups: Dataclass of each group that the command has.

    Raises:
        ValueError: If the recipe cannot be read, or a key or option is unknown or of the wrong type.
    """
    argv, known = list(sys.argv[1:] if argv is None else argv), field_types(groups)
    given = read_settings(argv.pop(0), known) if argv and not argv[0].startswith("-") else {}
    return Recipe._build(override(given, read_options(argv, known), known, prefix="--"), groups)


def read_options(argv: Sequence[str], known: Mapping[str, Any]) -> dict:
    """Return the values of a command line by the name of the option, as text or YAML.

    Args:
        argv: Options and their values.
        known: Type of each field, from `field_types`.

    Raises:
        ValueError: If a value has no option or an option no value.
    """
    words: dict[str, list[str]] = {}
    for word in argv:
        if word.startswith("--"):
            option, equals, value = word.removeprefix("--").partition("=")
            name, *members = option.split(".")
            option = ".".join([name.replace("-", "_"), *members])
            words[option] = [value] if equals else []
        elif words:
            words[option].append(word)
        else:
            raise ValueError(f"{word} is no option; write [recipe.yaml] [--option value ...].")
    return dict(_read_option(option, values, known) for option, values in words.items())


def _read_option(option: str, values: list[str], known: Mapping[str, Any]) -> tuple[str, Any]:
    """Return an option's name and value; the value of a member of a mapping is YAML."""
    positive = option.removeprefix("no_")
    if not values and option not in known and is_switch(known.get(positive)):
        return positive, "false"
    if not values and is_switch(known.get(option)):
        return option, "true"
    if not values and option.partition(".")[0] in known:
        raise ValueError(f"--{option} has no value; write --{option} VALUE.")
    if "." in option:
        values = [parse_yaml(f"--{option}", value) for value in values]
    return option, values[0] if len(values) == 1 else values


def _default(item: dataclasses.Field) -> Any:
    return item.default if item.default_factory is dataclasses.MISSING else item.default_factory()


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
