"""Complete the arguments of a plain `Trainer` for `EmotionTrainer`, or raise an error that names what is missing."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from torch import nn
from transformers import PreTrainedConfig, TrainingArguments

from ..evaluation.task import Task, task_of_config
from .adapters.lora import unwrap_adapters
from .arguments import EmotionTrainingArguments
from .collator import EmotionCollator


def complete_arguments(args: TrainingArguments | None) -> EmotionTrainingArguments:
    """Return the arguments of a trainer with our options, at their defaults where they are not given.

    Args:
        args: Arguments of transformers or ours; by default ours, in the folder "tmp_trainer" as in transformers.

    Raises:
        TypeError: If they are no arguments.
    """
    if isinstance(args, EmotionTrainingArguments):
        return args
    if args is None:
        return EmotionTrainingArguments("tmp_trainer", eval_strategy="no", load_best_model_at_end=False)
    if not isinstance(args, TrainingArguments):
        raise TypeError(f"args is a {type(args).__name__}; give EmotionTrainingArguments or TrainingArguments.")
    known = {item.name for item in fields(EmotionTrainingArguments)}
    names = [item.name for item in fields(args) if item.init and item.name in known]
    return EmotionTrainingArguments(**{name: getattr(args, name) for name in names})


def complete_collator(collator: Callable | None, processor: Any, model: nn.Module | None) -> Callable:
    """Return the collator of a trainer, by default that of the processor and of the model's task.

    Raises:
        ValueError: If there is neither a collator nor a processor.
    """
    if collator is not None:
        return collator
    if processor is None or not hasattr(model, "config"):
        raise ValueError(
            "data_collator is missing; give EmotionCollator(processor, labels), or processing_class=processor."
        )
    auxiliary = getattr(model.config, "auxiliary_labels", None)
    return EmotionCollator(processor, task_of_config(model.config), auxiliary=auxiliary)


def check_labels(model: nn.Module, task: Task) -> None:
    """Check that a task is that of a classifier of utterances, with its classes and dimensions in its order.

    A model whose classes have the default names of transformers ("LABEL_0", ...) takes any names.

    Raises:
        ValueError: If it is not.
    """
    if not type(unwrap_adapters(model)).__name__.endswith("ForSequenceClassification"):
        return
    own = task_of_config(model.config)
    names, given = list(own.labels), list(task.labels)
    if own.name != task.name or own.dimension_scale != task.dimension_scale:
        raise ValueError(
            f"The collator has the task {_describe(task)}, and the model {_describe(own)}; give the collator "
            "task_of_config(model.config)."
        )
    generic = names == [f"LABEL_{number}" for number in range(len(given))]
    if [*own.dimension_names] != [*task.dimension_names] or (names != given and not generic):
        given, names = ([*one.labels, *one.dimension_names * bool(one.classes)] for one in (task, own))
        raise ValueError(
            f"The collator has the labels {', '.join(given)}, and the model {', '.join(names)}; give the collator "
            "task_of_config(model.config)."
        )


def _describe(task: Task) -> str:
    """Return the name of a task and its scale, if it has one."""
    scale = task.dimension_scale
    return task.name if scale is None else f"{task.name} from {scale[0]:g} to {scale[1]:g}"


def require_classes(task: Task, name: str) -> None:
    """Raise a `ValueError` if a task has no classes, although an option is given that needs them."""
    if not task.classes:
        raise ValueError(f"{name} is given, but the task {task.name} has no classes; leave it out.")


def set_label_smoothing(config: PreTrainedConfig, wanted: float, task: Task) -> None:
    """Set the label smoothing of the model's loss.

    Args:
        config: The configuration of the model, which is changed.
        wanted: Share of the target that is spread over all classes.
        task: The task.

    Raises:
        ValueError: If the task has no classes, or the configuration has another smoothing.
    """
    require_classes(task, "label_smoothing_factor")
    if config.label_smoothing not in (0.0, wanted):
        raise ValueError(
            f"label_smoothing_factor is {wanted}, and model_config.label_smoothing {config.label_smoothing}; give one."
        )
    config.label_smoothing = wanted


def find_processor(processor: Any, collator: Callable) -> Any:
    """Return the processor that a trainer saves with its model, by default that of its collator."""
    return getattr(collator, "processor", None) if processor is None else processor


def find_class_weights(given: str, task: Task, rows: Any) -> list[float]:
    """Return the weight of each class in the loss.

    Args:
        given: "balanced", or a list in JSON.
        task: The task.
        rows: The training split, whose labels are counted for "balanced"; rows without one do not count.

    Raises:
        ValueError: If the task has no classes, the list has another length, or the labels cannot be counted.
    """
    require_classes(task, "class_weights")
    classes = len(task.classes)
    if given != "balanced":
        weights = json.loads(given)
        if len(weights) != classes:
            raise ValueError(f"class_weights has {len(weights)} numbers for {classes} classes; give one per class.")
        return [float(weight) for weight in weights]
    counts = _count_labels(rows)
    return [counts.total() / (classes * counts[label]) if counts[label] else 0.0 for label in range(classes)]


def _count_labels(rows: Any) -> Counter:
    """Return how often each class number occurs in a training split.

    Raises:
        ValueError: If the split is missing, or has no column `label`.
    """
    try:
        return Counter(label for label in rows["label"][:] if label is not None)
    except (KeyError, TypeError) as error:
        raise ValueError(
            "class_weights is 'balanced', but train_dataset is not a Dataset with the column 'label'; give a list of "
            "weights."
        ) from error
