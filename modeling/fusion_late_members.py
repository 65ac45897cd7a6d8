"""The members of a late fusion: built, loaded and heard, whatever they are."""

import torch
import torch.nn.functional as F
from transformers import (
    AutoModelForAudioClassification,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)

from ..configuration.configuration_late_fusion import as_member_config, member_modalities
from .encoder_audio import receptive_field
from .modeling_cross_attention import CrossAttentionFusionForSequenceClassification
from .modeling_loading import refuse_pickles
from .modeling_multi_level import MultiLevelFusionForSequenceClassification
from .modeling_speaker_resnet import SpeakerResNetForSequenceClassification
from .modeling_unimodal import UnimodalForSequenceClassification
from .modeling_wavfusion import WavFusionForSequenceClassification

# Written out for the same reason as in the configuration.
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
# modality -> what a batch holds of it: the values, their mask, and what else goes with them
INPUTS = {
    "audio": ("input_values", "audio_attention_mask", "word_spans", "syllable_spans", "phone_spans"),
    "text": ("input_ids", "attention_mask"),
    "video": ("pixel_values_videos", "video_attention_mask"),
}


def build_member(config: PreTrainedConfig) -> PreTrainedModel:
    """A classifier with random weights."""
    if config.model_type in MEMBER_MODELS:
        for name in config.sub_configs:
            # The fusion's dtype reaches its members; transformers hands it on no further.
            if getattr(config, name) is not None and config.dtype is not None:
                getattr(config, name).dtype = config.dtype
        return MEMBER_MODELS[config.model_type](config)
    return _auto_class(config).from_config(config)


def load_member(source: str) -> PreTrainedModel:
    """A trained classifier, whole or not at all, from safetensors only.

    Args:
        source: its folder, or its name on the Hub.

    Raises:
        ValueError: if it cannot be a member, or lacks weights, as an encoder without a head does; it is named.
    """
    fields, _ = PreTrainedConfig.get_config_dict(source)
    try:
        config = as_member_config(fields)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    loader = MEMBER_MODELS.get(config.model_type) or _auto_class(config)
    refuse_pickles(source)
    model, info = loader.from_pretrained(source, config=config, use_safetensors=True, output_loading_info=True)
    if missing := sorted(info["missing_keys"]):
        raise ValueError(
            f"{source} lacks {len(missing)} weights of {type(model).__name__} ({', '.join(missing[:3])}, ...); "
            "give a trained classifier."
        )
    return model


def select_inputs(number: int, config: PreTrainedConfig, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What of a batch a member looks at, by the names under which it knows it; nothing else.

    Where the processor prepares a modality otherwise for this member, its keys begin with `member_<number>_`.
    """
    selected = {}
    for modality in member_modalities(config):
        values, *others = INPUTS[modality]
        prefix = f"member_{number}_"
        prefix = prefix if batch.get(prefix + values) is not None else ""
        if batch.get(prefix + values) is not None:
            selected |= {name: batch[prefix + name] for name in (values, *others) if prefix + name in batch}
            if others[0] not in selected or selected[others[0]] is None:
                selected[others[0]] = _all_ones(batch[prefix + values])
    return selected


def ask_member(member: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """A member's answer.

    Args:
        member: the classifier.
        inputs: from `select_inputs`, not empty.

    Returns:
        Logits `(batch, classes)`, and which rows hold anything for it, `(batch,)`, bool; the others' logits are
        finite and mean nothing.
    """
    masks = {name: inputs[name].bool() for _, name, *_ in INPUTS.values() if name in inputs}
    present = torch.stack([mask.any(dim=1) for mask in masks.values()]).any(dim=0)
    if member.config.model_type in MEMBER_MODELS:
        return member(**inputs).logits, present
    if "input_values" in inputs:
        return _hear(member, inputs["input_values"], masks["audio_attention_mask"]), present
    return _read(member, inputs["input_ids"], masks["attention_mask"]), present


def _hear(member: PreTrainedModel, input_values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """One utterance at a time: in transformers' speech classifiers, group norms and convolutions hear the padding."""
    reach = receptive_field(member.config)
    waveforms = [values[:length] for values, length in zip(input_values, mask.sum(dim=1).tolist(), strict=True)]
    padded = [F.pad(waveform, (0, max(0, reach - len(waveform)))) for waveform in waveforms]
    return torch.cat([member(input_values=waveform[None]).logits for waveform in padded])


def _read(member: PreTrainedModel, input_ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    # Some count positions, or look for the last token, by the padding's id.
    input_ids = input_ids.masked_fill(~mask, member.config.pad_token_id or 0)
    mask = mask | ~mask.any(dim=1, keepdim=True)
    return member(input_ids=input_ids, attention_mask=mask.long()).logits


def _all_ones(values: torch.Tensor) -> torch.Tensor:
    return values.new_ones(values.shape[:2], dtype=torch.long)


def _auto_class(config: PreTrainedConfig) -> type:
    hears = "audio" in member_modalities(config)
    return AutoModelForAudioClassification if hears else AutoModelForSequenceClassification
