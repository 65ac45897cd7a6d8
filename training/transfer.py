"""Starting from a trained model: its weights under a new head, and a first phase that trains the head alone."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from datasets import Dataset
from torch import nn
from transformers import PreTrainedModel

from .adapters.lora import unwrap_adapters
from .arguments import EmotionTrainingArguments
from .collator import EmotionCollator
from .trainer import EmotionTrainer

HEAD = "classifier."


def load_transferred(
    model_class: type[PreTrainedModel], source: str, labels: Sequence[str], fields: Mapping
) -> PreTrainedModel:
    """A classifier that starts from a checkpoint of the same variant; the head is new unless the labels are the same.

    A speaker network without an emotion head is such a checkpoint too.

    Args:
        model_class: the variant's classifier.
        source: folder or Hub id of the checkpoint.
        labels: names of the classes.
        fields: of the configuration, to set anew; a sub-configuration is given by the fields that change.

    Raises:
        ValueError: if the checkpoint is of another variant, or a field changes the shape of something trained.
    """
    config_class = model_class.config_class
    saved, _ = config_class.get_config_dict(source)
    if saved.get("model_type") != config_class.model_type:
        raise ValueError(
            f"model_name_or_path ({source}) is a {saved.get('model_type')}, and the recipe's variant is "
            f"{config_class.model_type}; name a checkpoint of that variant, or change the variant."
        )
    # What weighs the loss is a matter of each run.
    merged = {**saved, "class_weights": None, "label_smoothing": 0.0, "focal_gamma": 0.0, **fields}
    for name in config_class.sub_configs if isinstance(config_class.sub_configs, Mapping) else ():
        if saved.get(name) and fields.get(name):
            merged[name] = {**saved[name], **fields[name]}
    numbered = dict(enumerate(labels))
    merged |= {"id2label": numbered, "label2id": {label: number for number, label in numbered.items()}}
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
            f"({', '.join(lost[:3])}); leave sizes out of model_config, the checkpoint knows them."
        )
    if list(config_class.from_dict(saved).id2label.values()) != list(labels):
        for module in model.classifier.modules():
            if isinstance(module, nn.Linear):
                module.reset_parameters()
    return model


def train_head(
    model: PreTrainedModel, args: EmotionTrainingArguments, collator: EmotionCollator, rows: Dataset
) -> None:
    """Train for `args.head_epochs` what is not an encoder; nothing is measured or saved on the way.

    Args:
        model: it learns in place, and what was trainable before is trainable afterwards.
        args: those of the run.
        collator: the run's.
        rows: to train on.
    """
    with encoders_frozen(model):
        components = {
            part for name, weight in model.named_parameters() if weight.requires_grad for part in name.split(".")
        }
        head_args = dataclasses.replace(
            args,
            num_train_epochs=args.head_epochs,
            max_steps=-1,
            eval_strategy="no",
            save_strategy="no",
            load_best_model_at_end=False,
            resume_from_checkpoint=None,
            learning_rates={name: rate for name, rate in args.learning_rates.items() if name in components},
        )
        EmotionTrainer(model=model, args=head_args, data_collator=collator, train_dataset=rows).train()


@contextmanager
def encoders_frozen(model: PreTrainedModel) -> Iterator[None]:
    """Freeze every encoder of a model while the context is open.

    Raises:
        ValueError: if the variant has none that can be frozen.
    """
    config = model.config
    freezing = {f"freeze_{modality}_layers": -1 for modality in config.layered_encoders}
    if "video" in config.encoders:
        freezing["freeze_vision_encoder"] = True
    if not freezing:
        raise ValueError(f"head_epochs is given, but a {type(model).__name__} has no encoder to be frozen meanwhile.")
    before = {name: getattr(config, name) for name in freezing}
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for name, value in freezing.items():
            setattr(config, name, value)
        unwrap_adapters(model).base_model.freeze()
        yield
    finally:
        for name, value in before.items():
            setattr(config, name, value)
        for parameter in trainable:
            parameter.requires_grad_(True)
