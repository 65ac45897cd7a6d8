"""The variants in miniature, and batches for them: what every test of a model is written with.

A new variant joins the matrix of checks (`modeling/test_matrix.py`) by adding its tiny configuration to `CASES`.
"""

import importlib
from dataclasses import dataclass, field

import torch
from emofusion.configuration import VARIANTS
from emofusion.configuration.configuration_emofusion import ENCODER_CONFIGS
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

CLASSES = 3
VOCABULARY = 50
# Spread of the random weights, so wide that a tiny model's answers differ between utterances as a trained one's do.
WIDE = 0.3

# Real kernels and strides: frames of 20 ms that reach over 400 samples, and SpecAugment's own spans of 10 frames.
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

# A second, less than the convolutions' reach (400), less than a SpecAugment span (3280), and one between.
AUDIO_LENGTHS = (16000, 300, 2000, 8000)
TEXT_LENGTHS = (4, 9, 1, 6)
VIDEO_LENGTHS = (3, 1, 5, 2)
IMAGE = 16  # pixels a side
# modality -> its values and their mask
INPUTS = {
    "audio": ("input_values", "audio_attention_mask"),
    "text": ("input_ids", "attention_mask"),
    "video": ("pixel_values_videos", "video_attention_mask"),
}
# level -> segments of each row; one has none
SEGMENTS = {"word": (3, 1, 0, 2), "syllable": (5, 1, 0, 2), "phone": (9, 2, 0, 4)}


@dataclass(frozen=True)
class Case:
    """One tiny configuration of a variant."""

    name: str
    variant: str
    fields: dict = field(default_factory=dict)

    def config(self, dropout: bool = True, **overrides) -> PreTrainedConfig:
        """The configuration; without `dropout`, training mode computes what evaluation mode does."""
        fields = {"num_labels": CLASSES, "initializer_range": WIDE} | self.fields | overrides
        config = _class_of(self.variant, "Config")(**fields)
        return config if dropout else _without_dropout(config)

    def model(self, head: bool = True, dropout: bool = True, seed: int = 0, **overrides) -> PreTrainedModel:
        """A classifier with random weights, in evaluation mode; without `head`, the base model."""
        torch.manual_seed(seed)
        end = "ForSequenceClassification" if head else "Model"
        model = _class_of(self.variant, end)(self.config(dropout, **overrides))
        for module in model.modules():
            if isinstance(module, nn.LayerNorm | nn.GroupNorm):  # new ones would not notice being applied twice
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=WIDE)
        return model.eval()

    @property
    def modalities(self) -> tuple[str, ...]:
        """What the case looks at."""
        return self.config().modalities

    @property
    def freezings(self) -> list[dict]:
        """The settings of what is frozen, each option at each of its values once, and all that can be."""
        settings = [{}, {"freeze_feature_encoder": False}] if "audio" in self.modalities else [{}]
        if "video" in self.modalities:
            settings.append({"freeze_vision_encoder": False})
        layered = [name for name in self.modalities if name != "video"]
        settings += [{f"freeze_{name}_layers": count} for name in layered for count in (1, 2, -1)]
        return [*settings, {f"freeze_{name}_layers": -1 for name in layered}]


CASES = [
    Case("speech", "unimodal", {"modality": "audio", "audio_config": WAV2VEC2_GROUP, "hidden_size": 16}),
    Case("speech-layer-norm", "unimodal", {"modality": "audio", "audio_config": WAV2VEC2_LAYER, "hidden_size": 16}),
    Case("speech-hubert", "unimodal", {"modality": "audio", "audio_config": HUBERT, "hidden_size": 16}),
    Case("text", "unimodal", {"modality": "text", "text_config": BERT, "hidden_size": 16}),
    Case(
        "cross_attention",
        "cross_attention",
        {"audio_config": WAV2VEC2_GROUP, "text_config": BERT, "hidden_size": 16, "num_attention_heads": 2},
    ),
    Case(
        "cross_attention-layer-norm",
        "cross_attention",
        {"audio_config": WAV2VEC2_LAYER, "text_config": BERT, "hidden_size": 16, "num_attention_heads": 2},
    ),
    Case(
        "cross_attention-layer-sums",
        "cross_attention",
        {
            "audio_config": WAV2VEC2_LAYER,
            "text_config": BERT,
            "hidden_size": 16,
            "num_attention_heads": 2,
            "use_weighted_layer_sum": True,
            "classifier_proj_size": 8,
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
    """A padded batch of noise and random words, as the forward contract has it; a length of 0 is a missing modality.

    Args:
        audio_lengths: samples of each row.
        text_lengths: tokens of each row.
        video_lengths: frames of each row.
        seed: of the noise and the words.
        padding: positions added to speech and text beyond what the longest row needs, and one frame and segment.
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
        batch[f"{level}_spans"] = _spans(audio_lengths, counts[:rows], min(padding, 1))
    return batch


def row(batch: dict[str, torch.Tensor], index: int) -> dict[str, torch.Tensor]:
    """One row of a batch, alone and unpadded; a modality it does not have is left out."""
    cut = {"labels": batch["labels"][index : index + 1]}
    for values, mask in INPUTS.values():
        if length := int(batch[mask][index].sum()):
            cut[values] = batch[values][index : index + 1, :length]
            cut[mask] = batch[mask][index : index + 1, :length]
    for level in SEGMENTS:
        spans = batch[f"{level}_spans"][index]
        if length := int((spans[:, 0] >= 0).sum()):
            cut[f"{level}_spans"] = spans[None, :length]
    return cut


def _spans(audio_lengths: tuple[int, ...], counts: tuple[int, ...], padding: int) -> torch.Tensor:
    """Segments of equal length that fill the middle of each row's speech; none where there is none."""
    spans = torch.full((len(counts), max(counts) + padding, 2), -1.0)
    for index, (samples, count) in enumerate(zip(audio_lengths, counts, strict=True)):
        if samples and count:
            borders = torch.linspace(0.1, 0.9, count + 1) * samples / 16000
            spans[index, :count] = torch.stack([borders[:-1], borders[1:]], dim=-1)
    return spans


def _mask(lengths: tuple[int, ...], padding: int) -> torch.Tensor:
    return (torch.arange(max(lengths) + padding) < torch.tensor(lengths)[:, None]).long()


def _class_of(variant: str, end: str) -> type:
    return getattr(importlib.import_module("emofusion"), VARIANTS[variant] + end)


def _without_dropout(config: PreTrainedConfig) -> PreTrainedConfig:
    encoders = [getattr(config, ENCODER_CONFIGS[modality]) for modality in config.encoders]
    for part in (config, *encoders):
        for name, value in part.to_dict().items():
            if "drop" in name and isinstance(value, float):
                setattr(part, name, 0.0)
        if hasattr(part, "apply_spec_augment"):
            part.apply_spec_augment = False
    return config
