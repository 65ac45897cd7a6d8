"""Build the model of a recipe: new, around pretrained encoders, or from a trained checkpoint."""

import importlib
from collections.abc import Mapping

from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from ..configuration import VARIANTS
from ..configuration.modalities import MODALITIES
from ..evaluation.task import load_task
from .arguments import ModelArguments
from .processor_building import PAD_TOKEN_ID

HEAD = "classifier."


def build_model(model_args: ModelArguments, labels: list[str]) -> PreTrainedModel:
    """Return the classifier of a variant, around pretrained encoders where the arguments name them.

    Args:
        model_args: The model. One with `model_name_or_path` is loaded, not built.
        labels: Names of the classes.

    Raises:
        ValueError: If a pretrained encoder and a configuration for it are both given, or a field is unknown or bad.
    """
    prefix = VARIANTS[model_args.variant]
    module = importlib.import_module(f"..modeling.modeling_{model_args.variant}", __package__)
    model_class = getattr(module, f"{prefix}ForSequenceClassification")
    task_fields = load_task("classification", labels).config_fields()
    fields = {**model_args.model_config, **task_fields}
    check_fields("model_config", model_args.model_config, model_class.config_class())
    if model_args.model_name_or_path is not None:
        return load_transferred(model_class, model_args.model_name_or_path, fields)
    encoders = {
        modality.encoder_kind: name
        for modality in MODALITIES.values()
        if (name := getattr(model_args, modality.encoder_argument)) is not None
    }
    for kind, name in encoders.items():
        if f"{kind}_config" in model_args.model_config:
            raise ValueError(f"The recipe gives both {kind}_model_name_or_path ({name}) and {kind}_config; give one.")
    if "text" not in encoders and fields.get("text_config"):
        # The tokenizer will be trained, so its padding id applies, not that of the encoder's pretrained checkpoints.
        fields["text_config"] = {**fields["text_config"], "pad_token_id": PAD_TOKEN_ID}
    try:
        model = model_class.from_encoders_pretrained(**encoders, **fields)
    except StrictDataclassError as error:
        raise ValueError(f"model_config: {' '.join(str(error).split())}") from error
    for name in model.config.sub_configs:
        if given := model_args.model_config.get(name):
            check_fields(f"model_config.{name}", given, type(getattr(model.config, name))())
    return model


def load_transferred(model_class: type[PreTrainedModel], source: str, fields: Mapping) -> PreTrainedModel:
    """Load a classifier from a checkpoint of the same variant; its head is new unless the labels are the same.

    A speaker network, which has no emotion head, is such a checkpoint too.

    Args:
        model_class: The classifier of the variant.
        source: Folder or Hub id of the checkpoint.
        fields: Fields of the configuration to set: those of the task, and those to change. For a sub-configuration,
            only the fields that change.

    Raises:
        ValueError: If the checkpoint is of another variant, or a field changes the shape of trained weights.
    """
    config_class = model_class.config_class
    saved, _ = config_class.get_config_dict(source)
    if saved.get("model_type") != config_class.model_type:
        raise ValueError(
            f"model_name_or_path ({source}) is a {saved.get('model_type')}, and the recipe's variant is "
            f"{config_class.model_type}; name a checkpoint of that variant, or change the variant."
        )
    # The settings of the loss belong to a run, not to a checkpoint.
    merged = {**saved, "class_weights": None, "label_smoothing": 0.0, "focal_gamma": 0.0, **fields}
    for name in config_class.sub_configs if isinstance(config_class.sub_configs, Mapping) else ():
        if saved.get(name) and fields.get(name):
            merged[name] = {**saved[name], **fields[name]}
    model, info = model_class.from_pretrained(
        source,
        config=config_class.from_dict(merged),
        ignore_mismatched_sizes=True,
        use_safetensors=True,
        output_loading_info=True,
    )
    lost = set(info["missing_keys"]) | {entry[0] for entry in info["mismatched_keys"]}
    lost = sorted(key for key in lost if not key.startswith(HEAD))
    if lost:
        raise ValueError(
            f"model_name_or_path ({source}) lacks {len(lost)} weights of the model, or has them in another shape "
            f"({', '.join(lost[:3])}); leave sizes out of model_config, the checkpoint defines them."
        )
    if config_class.from_dict(saved).id2label != model.config.id2label:
        for module in model.classifier.modules():
            if isinstance(module, nn.Linear):
                module.reset_parameters()
    return model


def check_fields(name: str, fields: Mapping, config: PreTrainedConfig) -> None:
    """Refuse fields that a configuration does not know; transformers would keep them, and a typo go unnoticed.

    Args:
        name: The name of the fields in the error.
        fields: The fields, by name.
        config: A configuration of the class that they are for.

    Raises:
        ValueError: If a field is unknown.
    """
    known = {*config.to_dict(), *config.attribute_map}
    for field in fields:
        if field not in known:
            raise ValueError(f"{name} has an unknown field {field!r}; {type(config).__name__} has no such field.")
