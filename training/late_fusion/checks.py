"""Checks of a late fusion and its members, before any of them is trained."""

from collections.abc import Sequence
from pathlib import Path

from datasets import DatasetDict
from transformers import AutoConfig, PreTrainedConfig

from ...configuration.configuration_late_fusion import LateFusionConfig
from ...configuration.configuration_unimodal import UnimodalConfig
from ...evaluation.metadata import CorpusMetadata
from ...evaluation.results import FILE as RESULTS
from ...evaluation.task import Task, task_of_config
from ...modeling.fusion_late_members import read_member_config
from ...modeling.head_score_combination import COMBINATIONS
from ...modeling.head_value_combination import VALUE_COMBINATIONS
from ...modeling.modeling_checkpoint import check_files
from ..command_arguments import SOUP
from ..model_building import source_named
from ..recipe import Recipe
from ..run_task import choose_task
from .members import Member, is_recipe

# Arguments that only matter when the members are trained.
OF_MEMBERS = {
    "data": (
        *("max_seconds", "frames_per_second", "max_train_samples", "soft_labels", "augmentation"),
        *("mixup", "auxiliary"),
    ),
    "training": (
        *("class_weights", "label_smoothing_factor", "sampler", "early_stopping_patience"),
        *("head_epochs", "head_learning_rate"),
    ),
}


def check_arguments(recipe: Recipe, size: int) -> None:
    """Raise a `ValueError` if the recipe of a fusion of `size` members cannot be fitted, before anything is trained."""
    if recipe.late_fusion.combination == SOUP and size < 2:
        raise ValueError("A soup needs two or more members; give more, or member_seeds or member_checkpoints.")
    for group, names in OF_MEMBERS.items():
        arguments = getattr(recipe, group)
        for name in names:
            value = getattr(arguments, name)
            if value and value != getattr(type(arguments), name, None):  # the second is the default
                raise ValueError(
                    f"{name} is given, but only the training of members has it; give it in their recipes, or as "
                    f"member_options.{name}."
                )
    for member in recipe.late_fusion.members:  # before the corpus is loaded, which may take long
        if is_recipe(member) or Path(member, RESULTS).is_file():
            continue
        if Path(member).exists() and not Path(member, "config.json").is_file():
            raise ValueError(f"members names {member}, which holds no model: it has no config.json.")
        check_files(member)
        with source_named("members", member):
            AutoConfig.from_pretrained(member)


def check_combination(recipe: Recipe) -> None:
    """Raise a `ValueError` if the combination is not one of the task."""
    task, combination = recipe.data.task, recipe.late_fusion.combination
    if task == "multi_task":
        raise ValueError(
            "The task is multi_task, but a late fusion combines either classes or dimensions; choose one of these tasks, which "
            "members of both have too."
        )
    known = (*(COMBINATIONS if task == "classification" else VALUE_COMBINATIONS), SOUP)
    if combination not in known:
        raise ValueError(
            f"combination is {combination!r}, but the task {task} has {', '.join(known)}; choose one of these."
        )


def check_members(
    recipe: Recipe, members: Sequence[Member], corpus: DatasetDict, metadata: CorpusMetadata, task: Task
) -> None:
    """Check that members learn, or have learned, what the fusion combines.

    Args:
        recipe: The recipe of the fusion.
        members: The members.
        corpus: The splits of the fusion.
        metadata: Their metadata.
        task: The task of the fusion.

    Raises:
        ValueError: If a member has other labels or dimensions, another scale or, of a soup, another task.
    """
    fields, configs = task.config_fields(), []
    for member in members:
        config, found = _find_config(member), None
        if config is not None:
            found = task_of_config(config)
        elif member.run is not None:
            found = choose_task(member.run.recipe.data, corpus, metadata)
            _check_dimensions(member.name, found, task)
        if found is not None and recipe.late_fusion.combination == SOUP and found.name != task.name:
            raise ValueError(
                f"The member {member.name} has the task {found.name}, and the soup {task.name}; give members of that task "
                "alone, or another combination."
            )
        configs.append(config or UnimodalConfig(modality="text", **fields))  # it stands for one that fits
    LateFusionConfig(member_configs=configs, **fields)


def _find_config(member: Member) -> PreTrainedConfig | None:
    """Return the configuration of a trained member; None for adapters, and for members that are to be trained."""
    if member.run is not None or (Path(member.source).exists() and not Path(member.source, "config.json").is_file()):
        return None
    return read_member_config(member.source)


def _check_dimensions(name: str, found: Task, task: Task) -> None:
    if not task.classes and set(found.dimension_names) != set(task.dimension_names):
        raise ValueError(
            f"The member {name} learns the dimensions {', '.join(found.dimension_names)}, and the fusion combines "
            f"{', '.join(task.dimension_names)}; give both the same dimensions, in any order."
        )
