"""The members of a late fusion: building, loading and running classifiers of any supported type."""

from typing import Any

import torch
import torch.nn.functional as F
from transformers import (
    AutoModelForAudioClassification,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)

from ..configuration.configuration_late_fusion import MEMBER_CONFIGS, as_member_config, member_modalities
from ..configuration.modalities import CONTEXT, CONTEXT_INPUT, MODALITIES, SPAN_INPUTS
from ..configuration.plain_text import show_some
from .encoder_audio import receptive_field
from .modeling_checkpoint import check_files, count_weights
from .modeling_cross_attention import CrossAttentionFusionForSequenceClassification
from .modeling_lengths import Lengths, at_least_one, complete_lengths, lengths_mask
from .modeling_loading import load_checked
from .modeling_multi_level import MultiLevelFusionForSequenceClassification
from .modeling_speaker_resnet import SpeakerResNetForSequenceClassification
from .modeling_unimodal import UnimodalForSequenceClassification
from .modeling_wavfusion import WavFusionForSequenceClassification

# Listed here because the Auto classes do not know our model types where emofusion is not installed.
MEMBER_MODELS: dict[str, type[PreTrainedModel]] = {
    model.config_class.model_type: model
    for model in (
        UnimodalForSequenceClassification,
        CrossAttentionFusionForSequenceClassification,
        MultiLevelFusionForSequenceClassification,
        SpeakerResNetForSequenceClassification,
        WavFusionForSequenceClassification,
    )
}


def build_member(config: PreTrainedConfig) -> PreTrainedModel:
    """Return a classifier with random weights."""
    if config.model_type in MEMBER_MODELS:
        return MEMBER_MODELS[config.model_type](config)
    return _auto_class(config).from_config(config, dtype=torch.get_default_dtype())


def read_member_config(source: str) -> PreTrainedConfig:
    """Return the configuration of a trained classifier.

    Args:
        source: A folder or Hub id.

    Raises:
        ValueError: If the model cannot be a member.
    """
    fields, _ = PreTrainedConfig.get_config_dict(source)
    try:
        config_class = MEMBER_CONFIGS.get(fields.get("model_type"))
        return as_member_config(config_class.from_dict(fields) if config_class else fields)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def load_member(source: str, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """Load a trained classifier from safetensors.

    Args:
        source: A folder or Hub id.
        dtype: The dtype of the weights, whatever the classifier was saved in.

    Raises:
        ValueError: If the model cannot be a member, or lacks weights, as an encoder without a head does.
    """
    headers, config = check_files(source), read_member_config(source)
    loader = MEMBER_MODELS.get(config.model_type) or _auto_class(config)
    model, info = load_checked(loader.from_pretrained, source, config=config, dtype=dtype, headers=headers)
    if missing := info["missing_keys"]:
        raise ValueError(
            f"{source} lacks {count_weights(missing)} of {type(model).__name__} ({show_some(missing)}); "
            "give a trained classifier."
        )
    return model


def select_inputs(number: int, config: PreTrainedConfig, batch: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs of a batch that a member uses, under the names that it expects.

    Where the processor prepares a modality separately for this member, the keys of the batch begin with
    `member_<number>_`.

    Args:
        number: The number of the member.
        config: Its configuration.
        batch: The inputs of all members, with their `lengths` if they are known; values may be None.
    """
    selected, known = {}, batch.get("lengths") or {}
    for name in member_modalities(config):
        modality, prefix = MODALITIES[name], f"member_{number}_"
        prefix = prefix if batch.get(prefix + modality.main_input) is not None else ""
        if (values := batch.get(prefix + modality.main_input)) is not None:
            selected |= {key: batch[prefix + key] for key in modality.inputs if prefix + key in batch}
            if selected.get(modality.mask) is None:
                selected[modality.mask] = values.new_ones(values.shape[:2], dtype=torch.long)
            lengths = complete_lengths(
                {name: (values, batch.get(prefix + modality.mask))}, {name: known.get(prefix + name)}
            )
            host = SPAN_INPUTS | {CONTEXT: CONTEXT_INPUT}
            levels = [level for level, spans in host.items() if spans in selected and prefix + level in known]
            lengths |= {level: known[prefix + level] for level in levels}
            selected["lengths"] = selected.get("lengths", {}) | lengths
    if selected and config.model_type in MEMBER_MODELS and batch.get("dialogues") is not None:
        selected["dialogues"] = batch["dialogues"]
    return selected


def run_member(
    member: PreTrainedModel, inputs: dict[str, Any], dimensions: bool = False
) -> tuple[torch.Tensor, tuple[bool, ...]]:
    """Return the logits of a member, or its values of dimensions.

    Args:
        member: The model.
        inputs: The result of `select_inputs`, not empty.
        dimensions: Whether to return values of dimensions.

    Returns:
        `(batch, classes)` or `(batch, dimensions)`, and for each row whether it has an input for the member. The outputs
        of the other rows are finite but meaningless.
    """
    lengths = {name: inputs["lengths"][name] for name in MODALITIES if name in inputs["lengths"]}
    has_input = tuple(map(any, zip(*lengths.values(), strict=True)))
    if member.config.model_type in MEMBER_MODELS:
        output = member(**inputs)
        has_both = dimensions and not member.config.is_regression
        return output.dimensions if has_both else output.logits, has_input
    if "input_values" in inputs:
        return _classify_waveforms(member, inputs["input_values"], lengths["audio"]), has_input
    return _classify_tokens(member, inputs["input_ids"], lengths["text"]), has_input


def _classify_waveforms(member: PreTrainedModel, input_values: torch.Tensor, lengths: Lengths) -> torch.Tensor:
    """Run one utterance at a time: group norms and convolutions of transformers' speech classifiers read padding."""
    shortest = receptive_field(member.config)
    waveforms = [values[:length] for values, length in zip(input_values, lengths, strict=True)]
    padded = [F.pad(waveform, (0, max(0, shortest - len(waveform)))) for waveform in waveforms]
    return torch.cat([member(input_values=waveform[None].to(member.dtype)).logits for waveform in padded])


def _classify_tokens(member: PreTrainedModel, input_ids: torch.Tensor, lengths: Lengths) -> torch.Tensor:
    # Some models derive positions, or the last token, from the padding token.
    device, positions = input_ids.device, input_ids.shape[1]
    input_ids = input_ids.masked_fill(~lengths_mask(lengths, device, positions), member.config.pad_token_id or 0)
    mask = lengths_mask(at_least_one(lengths), device, positions)
    return member(input_ids=input_ids, attention_mask=mask.long()).logits


def _auto_class(config: PreTrainedConfig) -> type:
    uses_audio = "audio" in member_modalities(config)
    return AutoModelForAudioClassification if uses_audio else AutoModelForSequenceClassification
