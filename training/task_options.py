"""Options of a recipe that do not fit its task are refused (ours). No data library is imported, for a fast start."""

from .arguments import TEXT_CLASSIFIER, EmotionTrainingArguments, ModelArguments

# Training arguments that only a task with classes has, and the values that each has without classes.
OF_CLASSES = {"class_weights": (None,), "label_smoothing_factor": (0.0,), "sampler": ("random", "balanced_corpora")}
# Fields of a configuration that the task determines.
OF_TASK = ("problem_type", "dimensions", "dimension_scale")


def check_task_options(task: str, model: ModelArguments | None, training_args: EmotionTrainingArguments) -> None:
    """Check that the options of a recipe fit its task.

    Args:
        task: The name of the task.
        model: The model; None for a late fusion.
        training_args: The training arguments.

    Raises:
        ValueError: If an option does not fit; it is named.
    """
    if model is not None and model.variant == TEXT_CLASSIFIER and task != "classification":
        raise ValueError(
            f"The task is {task}, but a text_classifier is a plain model of transformers, which learns classes; take the "
            "variant unimodal with model_config.modality text."
        )
    for name in OF_TASK if model is not None else ():
        if name in model.model_config:
            raise ValueError(
                f"model_config.{name} is given, but the arguments task and dimensions determine it; leave it out."
            )
    for name, unused in OF_CLASSES.items() if task == "dimensions" else ():
        if (value := getattr(training_args, name)) not in unused:
            raise ValueError(f"{name} is {value!r}, but the task dimensions has no classes; leave it out.")
