"""Options of a recipe that do not fit its task are refused (ours). No data library is imported, for a fast start."""

from collections.abc import Mapping
from typing import Any

from .arguments import TEXT_CLASSIFIER, DataArguments, EmotionTrainingArguments, ModelArguments

# Training arguments that only a task with classes has, and the values that each has without classes.
OF_CLASSES = {"class_weights": (None,), "label_smoothing_factor": (0.0,), "sampler": ("random", "balanced_corpora")}
# Fields of a configuration -> the arguments that determine them.
OF_DATA = {
    **dict.fromkeys(("problem_type", "dimensions", "dimension_scale"), "the arguments task and dimensions determine"),
    "auxiliary_labels": "the argument auxiliary determines",
}


def check_task_options(
    data: DataArguments, model: ModelArguments | None, training_args: EmotionTrainingArguments
) -> None:
    """Check that the options of a recipe fit its task.

    Args:
        data: The data arguments, with the task.
        model: The model; None for a late fusion.
        training_args: The training arguments.

    Raises:
        ValueError: If an option does not fit; it is named.
    """
    if model is not None:
        if model.variant == TEXT_CLASSIFIER and data.task != "classification":
            raise ValueError(
                f"The task is {data.task}, but a text_classifier is a plain model of transformers, which learns classes; take "
                "the variant unimodal with model_config.modality text."
            )
        _check_model_config(data, model.model_config)
    for name, unused in OF_CLASSES.items() if data.task == "dimensions" else ():
        if (value := getattr(training_args, name)) not in unused:
            raise ValueError(f"{name} is {value!r}, but the task dimensions has no classes; leave it out.")


def _check_model_config(data: DataArguments, fields: Mapping[str, Any]) -> None:
    for name, what in OF_DATA.items():
        if name in fields:
            raise ValueError(f"model_config.{name} is given, but {what} it; leave it out.")
    if "dimension_loss" in fields and data.task == "classification":
        raise ValueError(
            "model_config.dimension_loss is given, but the task is classification; set task to dimensions or multi_task."
        )
    weights = fields.get("loss_weights")
    for column in data.auxiliary if isinstance(weights, Mapping) else ():
        if (name := f"auxiliary_{column}") in weights:
            raise ValueError(
                f"model_config.loss_weights.{name} is given, but auxiliary.{column} is that weight; leave one of them out."
            )
    if data.mixup and fields.get("context_layers"):
        raise ValueError(
            "mixup is given, but a model with context_layers reads whole dialogues, whose utterances cannot be mixed; leave "
            "one of them out."
        )
