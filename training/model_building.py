"""Build the model of a recipe: new, around pretrained encoders, or from a trained checkpoint."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from huggingface_hub.errors import HFValidationError
from torch import nn
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from ..configuration import VARIANTS
from ..configuration.configuration_emofusion import CLASS_FIELDS, DIMENSION_FIELDS
from ..configuration.modalities import MODALITIES
from ..configuration.plain_text import show_some
from ..evaluation.task import Task
from ..modeling.head_auxiliary import SUFFIX
from ..modeling.modeling_checkpoint import count_weights
from ..modeling.modeling_dtype import set_dtype, weight_dtype
from ..modeling.modeling_loading import HEADS
from .arguments import TEXT_CLASSIFIER, ModelArguments
from .processor_building import PAD_TOKEN_ID
from .run_task import as_task
from .text_classifier import build_classifier, build_classifier_config

# Parts that are new if a checkpoint lacks them; discrepancy learning belongs to the loss of classes.
NEW_PARTS = (*HEADS, "dialogue_context.", "model.homogeneous_encoder.")
# Other fields of what is learned, which belong to a run and not to a checkpoint, at their defaults.
RUN_FIELDS = {"dimensions": None, "loss_weights": None, "auxiliary_labels": None}
# Fields that a model of transformers reads and its configuration class does not declare, by model type.
UNDECLARED = {"deberta-v2": ("position_buckets", "share_att_key", "norm_rel_ebd")}


def build_config(model_args: ModelArguments, task: Task | Sequence[str]) -> PreTrainedConfig:
    """Return the configuration of the model of a recipe; of pretrained models only the configurations are read.

    Args:
        model_args: The model.
        task: The task, or the names of the classes of a classification.

    Raises:
        ValueError: If a pretrained encoder and a configuration for it are both given, a field is unknown or bad, or the
            checkpoint to start from is of another variant.
    """
    if model_args.variant == TEXT_CLASSIFIER:
        with source_named("text_model_name_or_path", str(model_args.text_model_name_or_path)):
            return build_classifier_config(model_args, as_task(task))
    config_class = _model_class(model_args).config_class
    given, task_fields = model_args.model_config, as_task(task).config_fields()
    check_fields("model_config", given, config_class())
    weight_dtype(given.get("dtype"))
    if model_args.model_name_or_path is not None:
        with source_named("model_name_or_path", model_args.model_name_or_path):
            return _change_config(config_class, model_args.model_name_or_path, {**given, **task_fields})
    fields = _with_padding(model_args, {**given, **task_fields})
    for kind, source in _name_encoders(model_args).items():
        if f"{kind}_config" in given:
            raise ValueError(
                f"The recipe gives both {kind}_model_name_or_path ({source}) and {kind}_config; give one."
            )
        with source_named(f"{kind}_model_name_or_path", source):
            fields[f"{kind}_config"] = AutoConfig.from_pretrained(source)
    config = config_class(**fields)
    for name in config.sub_configs:
        if inner := given.get(name):
            check_fields(f"model_config.{name}", inner, type(getattr(config, name))())
    return config


@contextmanager
def source_named(argument: str, source: str) -> Iterator[None]:
    """Name the argument where the model that it names is neither in a folder nor found on the Hub.

    Args:
        argument: The argument.
        source: Its value, a folder or Hub id.
    """
    try:
        yield
    except (OSError, HFValidationError) as error:
        raise ValueError(f"{argument} names {source}, which is no model here or on the Hub: {error}") from error


def build_model(
    model_args: ModelArguments, task: Task | Sequence[str], config: PreTrainedConfig | None = None
) -> PreTrainedModel:
    """Return the model of a variant with the heads of a task, around pretrained encoders where the arguments name them.

    All weights are float32, whatever a checkpoint was saved in, unless `model_config.dtype` names another: in half
    precision, small updates are rounded away. `bf16` and `fp16` compute in half precision with float32 weights.

    Args:
        model_args: The model. One with `model_name_or_path` is loaded, not built.
        task: The task, or the names of the classes of a classification.
        config: What `build_config` returned for it, if it is built already.

    Raises:
        ValueError: As in `build_config`, or if a checkpoint lacks weights.
    """
    config = config or build_config(model_args, task)
    if model_args.variant == TEXT_CLASSIFIER:
        return build_classifier(model_args, config)
    model_class, source = _model_class(model_args), model_args.model_name_or_path
    if source is not None:
        model = load_transferred(model_class, source, config)
    else:
        fields = {**model_args.model_config, **as_task(task).config_fields()}
        model = model_class.from_encoders_pretrained(**_name_encoders(model_args), **_with_padding(model_args, fields))
    return set_dtype(model, weight_dtype(model_args.model_config.get("dtype")))


def load_transferred(model_class: type[PreTrainedModel], source: str, config: PreTrainedConfig) -> PreTrainedModel:
    """Load a model from a checkpoint of the same variant, of this or another task.

    The head of the classes is new unless the labels are the same. Each dimension keeps its layer if the checkpoint has it,
    whatever the scale. A speaker network, which has no emotion head, is such a checkpoint too.

    Args:
        model_class: The classifier of the variant.
        source: Folder or Hub id of the checkpoint.
        config: Its configuration with the fields that change, from `build_config`.

    Raises:
        ValueError: If a field changes the shape of trained weights.
    """
    saved, _ = model_class.config_class.get_config_dict(source)
    model, info = model_class.from_pretrained(
        source,
        config=config,
        ignore_mismatched_sizes=True,
        use_safetensors=True,
        output_loading_info=True,
    )
    lost = set(info["missing_keys"]) | {entry[0] for entry in info["mismatched_keys"]}
    if lost := [key for key in lost if not key.startswith(NEW_PARTS)]:
        raise ValueError(
            f"model_name_or_path ({source}) lacks {count_weights(lost)} of the model, or has them in another shape "
            f"({show_some(lost)}); leave sizes out of model_config, the checkpoint defines them."
        )
    before = model_class.config_class.from_dict(saved)
    if model.classifier is not None and before.id2label != model.config.id2label:
        _reset(model.classifier)
    for name, classes in (model.config.auxiliary_labels or {}).items():
        if (before.auxiliary_labels or {}).get(name) != classes:
            _reset(model.auxiliary_heads[f"{name}{SUFFIX}"])
    return model


def _reset(head: nn.Module) -> None:
    for module in head.modules():
        if isinstance(module, nn.Linear):
            module.reset_parameters()


def _model_class(model_args: ModelArguments) -> type[PreTrainedModel]:
    module = importlib.import_module(f"..modeling.modeling_{model_args.variant}", __package__)
    return getattr(module, f"{VARIANTS[model_args.variant]}ForSequenceClassification")


def _name_encoders(model_args: ModelArguments) -> dict[str, str]:
    """Return the pretrained encoders that the arguments name, by kind."""
    named = {modality.encoder_kind: getattr(model_args, modality.encoder_argument) for modality in MODALITIES.values()}
    return {kind: source for kind, source in named.items() if source is not None}


def _with_padding(model_args: ModelArguments, fields: Mapping) -> dict:
    """Return fields with the padding id of a tokenizer that will be trained, not of the encoder's pretrained checkpoints."""
    if model_args.text_model_name_or_path is not None or not fields.get("text_config"):
        return dict(fields)
    return {**fields, "text_config": {**fields["text_config"], "pad_token_id": PAD_TOKEN_ID}}


def _change_config(config_class: type[PreTrainedConfig], source: str, fields: Mapping) -> PreTrainedConfig:
    """Return the configuration of a checkpoint with other fields; of a sub-configuration, only those that change are given."""
    saved, _ = config_class.get_config_dict(source)
    if saved.get("model_type") != config_class.model_type:
        raise ValueError(
            f"model_name_or_path ({source}) is a {saved.get('model_type')}, and the recipe's variant is "
            f"{config_class.model_type}; name a checkpoint of that variant, or change the variant."
        )
    # What is learned, and the settings of the loss, belong to a run, not to a checkpoint.
    merged = {**saved, **CLASS_FIELDS, **DIMENSION_FIELDS, **RUN_FIELDS, **fields}
    for name in config_class.sub_configs if isinstance(config_class.sub_configs, Mapping) else ():
        if saved.get(name) and fields.get(name):
            merged[name] = {**saved[name], **fields[name]}
    return config_class.from_dict(merged)


def check_fields(name: str, fields: Mapping, config: PreTrainedConfig) -> None:
    """Refuse fields that a configuration does not know; transformers would keep them, and a typo go unnoticed.

    Args:
        name: The name of the fields in the error.
        fields: The fields, by name.
        config: A configuration of the class that they are for.

    Raises:
        ValueError: If a field is unknown.
    """
    known = {*config.to_dict(), *config.attribute_map, *UNDECLARED.get(config.model_type, ())}
    for field in fields:
        if field not in known:
            raise ValueError(f"{name} has an unknown field {field!r}; {type(config).__name__} has no such field.")
