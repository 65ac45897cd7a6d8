"""Miniature models of all variants, and batches for them.

Add the configuration of a new variant to `CASES`, and the matrix of checks (`modeling/test_matrix.py`) includes it.
"""

import importlib
import sys
from dataclasses import dataclass, field
from functools import cached_property

import torch
from emofusion.configuration import VARIANTS
from emofusion.configuration.modalities import MODALITIES, SAMPLING_RATE, SPAN_INPUTS
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

CLASSES = 3
VOCABULARY = 50
# Standard deviation of random weights, so large that the predictions of a miniature model differ between utterances.
WIDE = 0.3

# Kernels and strides of real checkpoints: a hop of 20 ms, a receptive field of 400 samples, SpecAugment spans of 10 frames.
WAV2VEC2_GROUP = {
    "model_type": "wav2vec2",
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "initializer_range": WIDE,
}
WAV2VEC2_LAYER = WAV2VEC2_GROUP | {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
HUBERT = WAV2VEC2_GROUP | {"model_type": "hubert"}
WAVLM = WAV2VEC2_GROUP | {"model_type": "wavlm", "num_buckets": 8, "max_bucket_distance": 20}
DATA2VEC = WAV2VEC2_GROUP | {"model_type": "data2vec-audio", "num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 7}
WHISPER = {
    "model_type": "whisper",
    "d_model": 16,
    "num_mel_bins": 8,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 16,
    "dropout": 0.1,
    "init_std": WIDE,
}
BERT = {
    "model_type": "bert",
    "vocab_size": VOCABULARY,
    "hidden_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
    "initializer_range": WIDE,
}
ROBERTA = BERT | {"model_type": "roberta", "pad_token_id": 1}
# As DeBERTa-v3, with relative positions in buckets and shared projections; and the convolution of v2.
DEBERTA = BERT | {
    "model_type": "deberta-v2",
    "relative_attention": True,
    "position_buckets": 4,
    "pos_att_type": ["p2c", "c2p"],
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
    "position_biased_input": False,
    "type_vocab_size": 0,
    "conv_kernel_size": 3,
}
# The second layer attends to two tokens on either side.
MODERNBERT = BERT | {
    "model_type": "modernbert",
    "global_attn_every_n_layers": 2,
    "local_attention": 4,
    "attention_dropout": 0.1,
    **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 0),
}
VIT = {
    "model_type": "vit",
    "image_size": 16,
    "patch_size": 8,
    "hidden_size": 12,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "initializer_range": WIDE,
}

# Two that are longer than a SpecAugment span (3280), one shorter than the receptive field (400), and one in between.
AUDIO_LENGTHS = (6000, 300, 2000, 4500)
TEXT_LENGTHS = (4, 9, 1, 6)
VIDEO_LENGTHS = (3, 1, 5, 2)
IMAGE = 16  # height and width in pixels
# Modality -> its values and their mask.
INPUTS = {name: (modality.main_input, modality.mask) for name, modality in MODALITIES.items()}
# Level -> the number of segments of each row; one row has none.
SEGMENTS = {"word": (3, 1, 0, 2), "syllable": (5, 1, 0, 2), "phone": (9, 2, 0, 4)}


@dataclass(frozen=True)
class Case:
    """One miniature configuration of a variant."""

    name: str
    variant: str
    fields: dict = field(default_factory=dict)

    def config(self, dropout: bool = True, **overrides) -> PreTrainedConfig:
        """Return the configuration; without `dropout`, training mode gives the results of evaluation mode."""
        fields = {"num_labels": CLASSES, "initializer_range": WIDE} | self.fields | overrides
        if self.has_members:
            shared = ("num_labels", "id2label", "problem_type", "dimensions", "dimension_scale")
            labels = {name: fields[name] for name in shared if name in fields}
            fields["member_configs"] = [member | labels for member in fields["member_configs"]]
        config = _class_of(self.variant, "Config")(**fields)
        return config if dropout else _without_dropout(config)

    def model(self, head: bool = True, dropout: bool = True, seed: int = 0, **overrides) -> PreTrainedModel:
        """Return a classifier with random weights in evaluation mode; without `head`, the base model."""
        torch.manual_seed(seed)
        end = "ForSequenceClassification" if head else "Model"
        model = _class_of(self.variant, end)(self.config(dropout, **overrides))
        for module in model.modules():
            # With their initial weights, a normalisation that is applied twice would go unnoticed.
            if isinstance(module, nn.LayerNorm | nn.GroupNorm | nn.BatchNorm2d):
                if module.weight is not None:
                    nn.init.uniform_(module.weight, 0.5, 1.5)
                if module.bias is not None:
                    nn.init.normal_(module.bias, std=WIDE)
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean, std=WIDE)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
        return model.eval()

    @cached_property
    def modalities(self) -> tuple[str, ...]:
        """The modalities of the case."""
        return self.config().modalities

    @property
    def has_members(self) -> bool:
        """Whether the case is a late fusion of classifiers."""
        return "member_configs" in self.fields

    @cached_property
    def freezings(self) -> list[dict]:
        """Configuration fields that freeze layers: each option at each of its values, and everything frozen.

        Two encoders are frozen one at a time, and together to different depths. Further cases of a fusion have fewer: their
        encoders are frozen to every depth alone, and their way of fusion in the first case.
        """
        if self.has_members:
            return [{}]  # its members have their own settings
        parts = {"audio": "freeze_feature_encoder", "video": "freeze_vision_encoder"}
        trained = {field: False for name, field in parts.items() if name in self.modalities}
        first, *others = [f"freeze_{name}_layers" for name in self.modalities if MODALITIES[name].has_layers] or [None]
        if first is None:
            return [trained, {}]
        settings = [{}, *([trained] if trained else []), {first: 1}]
        for other in others:
            settings += [{first: 2, other: 1}, {first: -1, other: 2}, {other: -1}]
        if not others:
            settings.append({first: 2})
        settings.append(dict.fromkeys((first, *others), -1))
        earlier = [case for case in CASES[: CASES.index(self)] if case.variant == self.variant]
        if self.variant != "unimodal" and earlier:
            settings = [settings[number] for number in (0, 1, 3, -1)]
        return settings


ATTENTIVE = {"pooling": "attentive_statistics"}
CROSS = {"text_config": BERT, "hidden_size": 16, "num_attention_heads": 2}
# As wide as the speech encoder; the text encoder is wider and projected. Smaller weights, because so many layers would
# amplify rounding.
COATTENTION = {
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "classifier_proj_size": 32,
    "initializer_range": WIDE / 2,
}

# Members of late fusions.
SPEECH_MEMBER = {
    "model_type": "emofusion_unimodal",
    "modality": "audio",
    "audio_config": WAV2VEC2_LAYER,
    "hidden_size": 16,
    "initializer_range": WIDE,
}
TEXT_MEMBER = SPEECH_MEMBER | {"modality": "text", "audio_config": None, "text_config": BERT}
FUSION_MEMBER = SPEECH_MEMBER | {
    "model_type": "emofusion_cross_attention",
    "text_config": BERT,
    "num_attention_heads": 2,
}
FUSION_MEMBER.pop("modality")

# Two layers that can be frozen, and two fusion layers. The text branch is as wide as the speech encoder.
WAVFUSION = {
    "audio_config": WAV2VEC2_GROUP | {"num_hidden_layers": 4},
    "num_fusion_layers": 2,
    "num_codewords": 3,
    "text_hidden_size": 16,
    "visual_hidden_size": 8,
    "num_attention_heads": 2,
    "freeze_audio_layers": 0,
}
WITH_TEXT = {"text_config": BERT, "freeze_text_layers": 0}
WITH_VIDEO = {"vision_config": VIT}

CASES = [
    Case("speech", "unimodal", {"modality": "audio", "audio_config": WAV2VEC2_GROUP, "hidden_size": 16}),
    Case("speech-layer-norm", "unimodal", {"modality": "audio", "audio_config": WAV2VEC2_LAYER, "hidden_size": 16}),
    Case("speech-hubert", "unimodal", {"modality": "audio", "audio_config": HUBERT, "hidden_size": 16}),
    Case("speech-wavlm", "unimodal", {"modality": "audio", "audio_config": WAVLM, "hidden_size": 16, **ATTENTIVE}),
    Case("speech-data2vec", "unimodal", {"modality": "audio", "audio_config": DATA2VEC, "hidden_size": 16}),
    Case("speech-whisper", "unimodal", {"modality": "audio", "audio_config": WHISPER, "hidden_size": 16}),
    Case("text", "unimodal", {"modality": "text", "text_config": BERT, "hidden_size": 16}),
    Case("text-roberta", "unimodal", {"modality": "text", "text_config": ROBERTA, "hidden_size": 16}),
    Case("text-deberta", "unimodal", {"modality": "text", "text_config": DEBERTA, "hidden_size": 16}),
    Case("text-modernbert", "unimodal", {"modality": "text", "text_config": MODERNBERT, "hidden_size": 16}),
    Case("video", "unimodal", {"modality": "video", "vision_config": VIT, "hidden_size": 16}),
    Case("cross_attention", "cross_attention", {"audio_config": WAV2VEC2_GROUP, **CROSS}),
    Case("cross_attention-layer-norm", "cross_attention", {"audio_config": WAV2VEC2_LAYER, **CROSS, **ATTENTIVE}),
    Case("cross_attention-wavlm-deberta", "cross_attention", {"audio_config": WAVLM, **CROSS, "text_config": DEBERTA}),
    Case(
        "cross_attention-layer-sums",
        "cross_attention",
        {"audio_config": WAV2VEC2_LAYER, **CROSS, "use_weighted_layer_sum": True, "classifier_proj_size": 8},
    ),
    Case(
        "speaker_resnet",
        "speaker_resnet",
        {"num_mel_bins": 16, "hidden_sizes": [4, 8], "depths": [1, 2], "embedding_size": 12},
    ),
    Case("multi_level", "multi_level", {"audio_config": WAV2VEC2_GROUP, "text_config": BERT, **COATTENTION}),
    Case(
        "multi_level-frame",
        "multi_level",
        {"audio_config": WAV2VEC2_LAYER, "text_config": BERT, **COATTENTION, "granularities": ["frame"], **ATTENTIVE},
    ),
    Case(
        "multi_level-concat",
        "multi_level",
        {"audio_config": WAV2VEC2_GROUP, "text_config": BERT, **COATTENTION, "fusion": "concat"},
    ),
    Case("wavfusion-text", "wavfusion", {**WAVFUSION, **WITH_TEXT, "auxiliary_modalities": ["text"]}),
    Case("wavfusion", "wavfusion", {**WAVFUSION, **WITH_TEXT, **WITH_VIDEO}),
    Case(
        "wavfusion-video",
        "wavfusion",
        {
            **WAVFUSION,
            **WITH_VIDEO,
            "auxiliary_modalities": ["video"],
            "gate_self_attention": False,
            "use_visual_center": False,
        },
    ),
    Case("wavfusion-alone", "wavfusion", {**WAVFUSION, "auxiliary_modalities": []}),
    Case(
        "wavfusion-layer-norm",
        "wavfusion",
        {**WAVFUSION, **WITH_TEXT, **WITH_VIDEO, "audio_config": WAV2VEC2_LAYER | {"num_hidden_layers": 4}},
    ),
    Case(
        "wavfusion-wavlm",
        "wavfusion",
        {
            **WAVFUSION,
            **WITH_TEXT,
            "auxiliary_modalities": ["text"],
            "audio_config": WAVLM | {"num_hidden_layers": 4},
            "text_hidden_size": 12,
        },
    ),
    Case("wavfusion-concat", "wavfusion", {**WAVFUSION, **WITH_TEXT, **WITH_VIDEO, "fusion": "concat", **ATTENTIVE}),
    # Two members of ours, and two of transformers' own.
    Case(
        "late_fusion",
        "late_fusion",
        {"member_configs": [SPEECH_MEMBER, TEXT_MEMBER, WAV2VEC2_GROUP, BERT], "combination": "logistic"},
    ),
    Case(
        "late_fusion-weighted",
        "late_fusion",
        {
            "member_configs": [FUSION_MEMBER, BERT],
            "combination": "weighted",
            "freeze_members": False,
        },
    ),
]


def make_batch(
    audio_lengths: tuple[int, ...] = AUDIO_LENGTHS,
    text_lengths: tuple[int, ...] = TEXT_LENGTHS,
    video_lengths: tuple[int, ...] = VIDEO_LENGTHS,
    seed: int = 0,
    padding: int = 0,
) -> dict[str, torch.Tensor]:
    """Return a padded batch of noise and random tokens; a length of 0 is a missing modality.

    Args:
        audio_lengths: The samples of each row.
        text_lengths: The tokens of each row.
        video_lengths: The frames of each row.
        seed: The seed of noise and tokens.
        padding: The number of extra positions for speech and text; above 0, video and spans get one extra position.
    """
    random = torch.Generator().manual_seed(seed)
    rows = len(audio_lengths)
    audio_mask, text_mask = _mask(audio_lengths, padding), _mask(text_lengths, padding)
    video_mask = _mask(video_lengths[:rows], min(padding, 1))
    pixels = torch.randn(*video_mask.shape, 3, IMAGE, IMAGE, generator=random)
    batch = {
        "input_values": torch.randn(audio_mask.shape, generator=random) * audio_mask,
        "audio_attention_mask": audio_mask,
        "input_ids": torch.randint(1, VOCABULARY, text_mask.shape, generator=random) * text_mask,
        "attention_mask": text_mask,
        "pixel_values_videos": pixels * video_mask[:, :, None, None, None],
        "video_attention_mask": video_mask,
        "labels": torch.arange(rows) % CLASSES,
    }
    for level, counts in SEGMENTS.items():
        batch[SPAN_INPUTS[level]] = _spans(audio_lengths, counts[:rows], min(padding, 1))
    return batch


def as_on_gpu(monkeypatch) -> None:
    """Let models compute in the forms that they have on a GPU."""
    for name, module in list(sys.modules.items()):
        if name.startswith("emofusion.modeling.") and hasattr(module, "works_by_row"):
            monkeypatch.setattr(module, "works_by_row", lambda device: False)


def row(batch: dict[str, torch.Tensor], index: int) -> dict[str, torch.Tensor]:
    """Return one row of a batch, alone and unpadded, without missing modalities."""
    cut = {name: batch[name][index : index + 1] for name in ("labels", "dimension_labels") if name in batch}
    for values, mask in INPUTS.values():
        if length := int(batch[mask][index].sum()):
            cut[values] = batch[values][index : index + 1, :length]
            cut[mask] = batch[mask][index : index + 1, :length]
    for level in SEGMENTS:
        spans = batch[SPAN_INPUTS[level]][index]
        if length := int((spans[:, 0] >= 0).sum()):
            cut[SPAN_INPUTS[level]] = spans[None, :length]
    return cut


def _spans(audio_lengths: tuple[int, ...], counts: tuple[int, ...], padding: int) -> torch.Tensor:
    """Return segments of equal length in the middle of each row's speech."""
    spans = torch.full((len(counts), max(counts) + padding, 2), -1.0)
    for index, (samples, count) in enumerate(zip(audio_lengths, counts, strict=True)):
        if samples and count:
            borders = torch.linspace(0.1, 0.9, count + 1) * samples / SAMPLING_RATE
            spans[index, :count] = torch.stack([borders[:-1], borders[1:]], dim=-1)
    return spans


def _mask(lengths: tuple[int, ...], padding: int) -> torch.Tensor:
    return (torch.arange(max(lengths) + padding) < torch.tensor(lengths)[:, None]).long()


def _class_of(variant: str, end: str) -> type:
    return getattr(importlib.import_module("emofusion"), VARIANTS[variant] + end)


def _without_dropout(config: PreTrainedConfig) -> PreTrainedConfig:
    for name in config.sub_configs:
        if getattr(config, name) is not None:
            _without_dropout(getattr(config, name))
    for name, value in config.to_dict().items():
        if "drop" in name and isinstance(value, float):
            setattr(config, name, 0.0)
    if hasattr(config, "mask_time_prob"):
        config.apply_spec_augment = False
    return config
