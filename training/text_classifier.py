"""Plain text classifiers of transformers as systems of `emofusion train`: Padi et al. fine-tune a BERT.

The result is a folder of transformers alone, without code of ours, and a late fusion takes it as a member.
"""

from pathlib import Path

from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoModelForSequenceClassification,
    BatchFeature,
    PreTrainedConfig,
    PreTrainedModel,
    Trainer,
)
from transformers.trainer import TRAINER_STATE_NAME

from ..configuration.configuration_checks import build_config
from ..evaluation.task import Task
from ..modeling.modeling_checkpoint import check_files, one_sentence
from .arguments import ModelArguments
from .collator import EmotionCollator
from .processor_building import PAD_TOKEN_ID
from .recipe import Recipe
from .trainer import EmotionTrainer

# Options that need a model of ours, by group of arguments.
OF_OUR_MODELS = {
    "model": ("model_name_or_path", "audio_model_name_or_path", "vision_model_name_or_path", "lora", "quantization"),
    "data": ("soft_labels", "augmentation", "mixup", "auxiliary", "context_turns"),
    "training": ("head_epochs", "cache_prefix", "class_weights", "label_smoothing_factor"),
}


def check_options(recipe: Recipe) -> None:
    """Raise a ValueError if a recipe of a plain classifier has an option that needs a model of ours."""
    for group, names in OF_OUR_MODELS.items():
        for name in names:
            if getattr(getattr(recipe, group), name):
                raise ValueError(
                    f"{name} is given, but a text_classifier is a plain model of transformers; leave it out."
                )


def build_classifier_config(model_args: ModelArguments, task: Task) -> PreTrainedConfig:
    """Return the configuration of a plain classifier.

    Args:
        model_args: The model: `text_model_name_or_path`, or `model_config.text_config` for random weights. Other members of
            `model_config` are fields of the classifier's own configuration.
        task: The classification.

    Raises:
        ValueError: If both or neither is given, a field is unknown or bad, or transformers has no such classifier.
    """
    fields, source = dict(model_args.model_config), model_args.text_model_name_or_path
    inner = fields.pop("text_config", None)
    if (source is None) == (inner is None):
        raise ValueError(
            "A text_classifier needs text_model_name_or_path, or model_config.text_config; give one of them."
        )
    if source is None:
        inner = {"pad_token_id": PAD_TOKEN_ID, **inner}
        config = build_config("text_config", AutoConfig.for_model, inner.pop("model_type", None), **inner)
    else:
        config = AutoConfig.from_pretrained(source)
    if type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise ValueError(
            f"{source or 'text_config'} is a {config.model_type}, which transformers has no text classifier of."
        )
    known = {*config.to_dict(), *config.attribute_map}
    for name, value in fields.items():
        if name not in known:
            raise ValueError(f"model_config has an unknown field {name!r}; {type(config).__name__} has no such field.")
        setattr(config, name, value)
    for name, value in task.config_fields().items():
        setattr(config, name, value)
    return config


def build_classifier(model_args: ModelArguments, config: PreTrainedConfig) -> PreTrainedModel:
    """Return a plain classifier in float32, with a new head unless the checkpoint has one for as many classes.

    Args:
        model_args: The model.
        config: From `build_classifier_config`.

    Raises:
        OSError: If a file is missing.
        ValueError: If the checkpoint is not in safetensors, or cannot be loaded.
    """
    source = model_args.text_model_name_or_path
    if source is None:
        return AutoModelForSequenceClassification.from_config(config)
    with one_sentence(source):
        check_files(source)
        return AutoModelForSequenceClassification.from_pretrained(
            source, config=config, use_safetensors=True, ignore_mismatched_sizes=True, dtype="float32"
        )


class TextClassifierCollator(EmotionCollator):
    """Leaves out the lengths of the inputs, which only models of ours take."""

    def __call__(self, rows: list) -> BatchFeature | dict:
        """Return a batch for a classifier of transformers; see [`EmotionCollator`]."""
        batch = super().__call__(rows)
        batch.pop("lengths", None)
        return batch


class TextClassifierTrainer(EmotionTrainer):
    """Trainer of a plain classifier, whose folders hold no code of ours."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # The loss of such a model is the mean of a batch, so Trainer has to divide it by the number of accumulated batches.
        self.model_accepts_loss_kwargs = False

    def save_bundle(self, folder: Path) -> None:
        """Save weights, configuration and processor into a folder."""
        self._guard.check_before_saving(self.args, self.state.global_step, self.model)
        if self.args.should_save:
            (folder / TRAINER_STATE_NAME).unlink(missing_ok=True)
        Trainer.save_model(self, str(folder), _internal_call=True)
        if self.args.should_save:
            (folder / "training_args.bin").unlink(missing_ok=True)
