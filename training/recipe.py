"""A recipe: all arguments of a run, read from a YAML file and the command line."""

import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from accelerate.state import AcceleratorState, PartialState
from transformers import TrainingArguments

from ..configuration.value_checks import default_of
from ..evaluation.task import task_class
from .arguments import AUTO, DataArguments, EmotionTrainingArguments, ModelArguments
from .command_arguments import (
    CrossCorpusArguments,
    CrossValidationArguments,
    LateFusionArguments,
    SpeakerArguments,
    SpeakerTrainingArguments,
)
from .search.space import SearchArguments
from .settings import UnknownSettingError, field_types, is_switch, override, read_settings
from .task_options import check_task_options
from .yaml_reader import parse_yaml

# Groups of arguments of each command.
TRAINING = {"model": ModelArguments, "data": DataArguments, "training": EmotionTrainingArguments}
LATE_FUSION = {"late_fusion": LateFusionArguments, "data": DataArguments, "training": EmotionTrainingArguments}
SPEAKER = {"speaker": SpeakerArguments, "training": SpeakerTrainingArguments}
CROSS_VALIDATION = {"cross_validation": CrossValidationArguments, "late_fusion": LateFusionArguments, **TRAINING}
CROSS_CORPUS = {"cross_corpus": CrossCorpusArguments, **TRAINING}
SEARCH = {"search": SearchArguments, **TRAINING}
COMMANDS = {
    "train": TRAINING,
    "cross-validate": CROSS_VALIDATION,
    "cross-corpus": CROSS_CORPUS,
    "search": SEARCH,
    "fit-late-fusion": LATE_FUSION,
    "pretrain-speaker": SPEAKER,
}

# Options, and prefixes of options, that change neither the trained model nor its scores.
NOT_LEARNED = {
    *("corpus_root", "cache_dir", "output_dir", "resume_from_checkpoint", "save_total_limit", "use_cpu"),
    *("disable_tqdm", "language", "license", "remove_unused_columns"),
    *("report_to", "run_name", "project", "debug", "local_rank", "do_train", "do_eval", "do_predict"),
    *("dataloader_num_workers", "dataloader_pin_memory"),
    *("dataloader_persistent_workers", "dataloader_prefetch_factor"),
}
NOT_LEARNED_PREFIXES = ("logging_", "log_", "hub_", "push_", "trackio_")


@dataclass(kw_only=True)
class Recipe:
    """All arguments of a run, checked.

    ```python
    recipe = Recipe.read("recipe.yaml", learning_rate=1e-4)
    for seed in range(3):
        emofusion.train(recipe.replace(seed=seed, output_dir=f"runs/seed-{seed}"))
    ```

    Args:
        model: The model; None for late fusions and for `pretrain-speaker`.
        data: The corpus; None for `pretrain-speaker`.
        training: Training settings.
        late_fusion: Members and combination; only for `fit-late-fusion`, and for `cross-validate` of a late fusion, which
            has no `model`.
        speaker: Network and recordings; only for `pretrain-speaker`.
        cross_validation: Folds and seeds; only for `cross-validate`.
        cross_corpus: Training sets and seeds; only for `cross-corpus`.
        search: Search space and number of trials; only for `search`.
    """

    model: ModelArguments | None = None
    data: DataArguments | None = None
    training: EmotionTrainingArguments | SpeakerTrainingArguments | None = None
    late_fusion: LateFusionArguments | None = None
    speaker: SpeakerArguments | None = None
    cross_validation: CrossValidationArguments | None = None
    cross_corpus: CrossCorpusArguments | None = None
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
        with _naming_commands():
            given = {} if path is None else read_settings(path, known)
            return cls._build(override(given, settings, known), groups)

    @classmethod
    def _build(cls, settings: Mapping, groups: Mapping[str, type]) -> "Recipe":
        parts = {}
        for name, arguments in _choose_groups(settings, groups).items():
            own = {item.name: settings[item.name] for item in fields(arguments) if item.name in settings}
            try:
                parts[name] = arguments(**own)
            # transformers checks only some values; others fail in its code.
            except (AttributeError, KeyError, RuntimeError, TypeError) as error:
                raise ValueError(f"An option has a value that {arguments.__name__} refuses: {error}.") from error
        return cls(**parts)

    def __post_init__(self):
        if self.data is not None and self.training is not None:
            self.training.select_by(task_class(self.data.task))
            check_task_options(self.data, self.model, self.training)

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
        if "task" in names and "metric_for_best_model" not in {*names, *self.given()}:  # the default is another
            changed["metric_for_best_model"] = AUTO
            names.add("metric_for_best_model")
        for group_name, group in groups.items():
            own = {item.name: changed.get(item.name, default_of(item)) for item in fields(group) if item.name in names}
            if own:
                groups[group_name] = dataclasses.replace(group, **own)
        return Recipe(**groups)

    @property
    def system(self) -> str:
        """The name of the system: that of its model, or "late_fusion"."""
        return "late_fusion" if self.model is None else self.model.system

    def groups(self) -> dict[str, Any]:
        """Return the groups that this recipe has, by name."""
        return {item.name: group for item in fields(self) if (group := getattr(self, item.name)) is not None}

    def given(self) -> dict:
        """Return the settings of model or late fusion, data and training that differ from the defaults.

        They are as a recipe file has them. `output_dir` and `use_cpu` are left out.
        """
        given = {}
        for group in (self.model, self.late_fusion, self.data, self.training):
            if group is not None:
                given |= _list_given(group)
        if self.data is not None and given.get("metric_for_best_model") == task_class(self.data.task).selection_metric:
            del given["metric_for_best_model"]
        return given

    def describe(self) -> dict:
        """Return the settings in `given` that change the trained model or its scores.

        Folders, and settings of speed, display and saving, are left out. Two runs with equal descriptions are the same.
        """
        return {
            name: value
            for name, value in self.given().items()
            if name not in NOT_LEARNED and not name.startswith(NOT_LEARNED_PREFIXES)
        }


def parse_recipe(argv: Sequence[str] | None = None, groups: Mapping[str, type] = TRAINING) -> Recipe:
    """Read a command line: `recipe.yaml --learning_rate 1e-4 --model_config.hidden_size 128 --bf16`.

    Each field of the groups is an option that overrides the recipe. A dot sets a member of a mapping. All words up to the
    next option are its values. `--bf16` means true, `--no_bf16` false, and `--max_seconds null` the default of the option.

    Args:
        argv: Arguments of the command; by default those of the process.
        groups: Dataclass of each group that the command has.

    Raises:
        ValueError: If the recipe cannot be read, or a key or option is unknown or of the wrong type.
    """
    argv, known = list(sys.argv[1:] if argv is None else argv), field_types(groups)
    with _naming_commands():
        given = read_settings(argv.pop(0), known) if argv and not argv[0].startswith("-") else {}
        return Recipe._build(override(given, read_options(argv, known), known, prefix="--"), groups)


def read_options(argv: Sequence[str], known: Mapping[str, Any]) -> dict:
    """Return the values of options by name: text, or YAML for members of mappings.

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
            if option in words:
                raise ValueError(f"--{option} is given twice; give it once.")
            words[option] = [value] if equals else []
        elif words:
            words[option].append(word)
        else:
            raise ValueError(f"{word} is no option; write [recipe.yaml] [--option value ...].")
    return dict(_read_option(option, values, known) for option, values in words.items())


def _read_option(option: str, values: list[str], known: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the name and value of an option, for `--no_name` those of `name`."""
    positive = option.removeprefix("no_")
    if option not in known and is_switch(known.get(positive)):
        if values:
            raise ValueError(f"--{option} takes no value; write --{option}, or --{positive} VALUE.")
        return positive, "false"
    if not values and is_switch(known.get(option)):
        return option, "true"
    if values in ([], [""]) and option.partition(".")[0] in known:
        raise ValueError(f"--{option} has no value; write --{option} VALUE.")
    if values == ["null"]:
        return option, None
    if "." in option:
        values = [parse_yaml(f"--{option}", value) for value in values]
    return option, values[0] if len(values) == 1 else values


@contextmanager
def _naming_commands() -> Iterator[None]:
    """Let the error about an option that only other commands have name these."""
    try:
        yield
    except UnknownSettingError as error:
        commands = [f"emofusion {name}" for name, groups in COMMANDS.items() if error.name in field_types(groups)]
        if not commands:
            raise
        raise ValueError(f"{error.subject}, which is for {', '.join(commands)}.") from error


def _choose_groups(settings: Mapping, groups: Mapping[str, type]) -> dict[str, type]:
    """Return the groups of a command: of those that train both models and late fusions, either model or late fusion.

    Raises:
        ValueError: If a setting of the other kind is given.
    """
    groups = dict(groups)
    if not {"model", "late_fusion"} <= groups.keys():
        return groups
    is_fusion = "members" in settings
    other = groups.pop("model" if is_fusion else "late_fusion")
    if wrong := [item.name for item in fields(other) if item.name in settings]:
        raise ValueError(
            f"{wrong[0]} is given, but a recipe with members is a late fusion, whose members have recipes of their own; give "
            f"it there, or as member_options.{wrong[0]}."
            if is_fusion
            else f"{wrong[0]} is given without members; name the members of the late fusion."
        )
    return groups


def _list_given(group: Any) -> dict:
    plain = _default_training(group) if isinstance(group, TrainingArguments) else _default_group(type(group))
    given, usual = (json.loads(json.dumps(_as_plain(part), default=str)) for part in (group, plain))
    return {name: value for name, value in given.items() if value != usual[name]}


def _default_group(kind: type) -> Any:
    """Return the defaults of a group; a late fusion has none for its members."""
    return kind(members=[""]) if kind is LateFusionArguments else kind()


def _default_training(given: TrainingArguments) -> TrainingArguments:
    """Return the default arguments for the device of `given`.

    Arguments reset the state of accelerate, which a trainer may be using, so it is restored.
    """
    states = [(state, dict(state)) for state in (PartialState._shared_state, AcceleratorState._shared_state)]
    try:
        return type(given)(output_dir=given.output_dir, use_cpu=given.use_cpu)
    finally:
        for state, values in states:
            state.clear()
            state.update(values)


def _as_plain(group: Any) -> dict:
    values = group.to_dict() if isinstance(group, TrainingArguments) else vars(group)
    return {item.name: values[item.name] for item in fields(group) if item.name in values}
