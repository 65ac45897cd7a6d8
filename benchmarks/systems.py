"""The models that several sections measure, and batches for them.

Models are those of the recipes with random weights: full-size ones of IEMOCAP, or small ones of the spoken corpus.
"""

import copy
from collections.abc import Sequence
from pathlib import Path

from .. import recipes
from ..configuration.modalities import MODALITIES, SAMPLING_RATE

# System -> recipe of the full-size model. Late fusion has no recipe without trained members: its members are two others.
RECIPES = {
    "speech": "iemocap/speech.yaml",
    "text": "iemocap/text.yaml",
    "cross_attention": "iemocap/cross_attention.yaml",
    "multi_level, frames": "iemocap/multi_level_frame.yaml",
    "multi_level": "iemocap/multi_level.yaml",
    "wavfusion": "iemocap/wavfusion.yaml",
    "speaker_resnet": "iemocap/speaker_resnet_scratch.yaml",
}
SMALL_RECIPES = {name: recipe.replace("iemocap", "spoken") for name, recipe in RECIPES.items()}
SMALL_RECIPES["speaker_resnet"] = "spoken/speaker_resnet.yaml"
LATE_FUSION = "late_fusion"
MEMBERS = ("speech", "text")
SYSTEMS = (*RECIPES, LATE_FUSION)
# Systems whose encoders transformers has too.
WITH_STOCK = tuple(name for name in SYSTEMS if name != "speaker_resnet")
QUICK = ("cross_attention", LATE_FUSION)

LENGTHS = (1.9, 3.2, 4.5, 8.4)  # seconds: a short, a typical, an average and a long turn of IEMOCAP
FRAMES_PER_SECOND = 2
SEGMENTS = {"word": 2.5, "syllable": 4.0, "phone": 10.0}  # per second
LABELS = ("angry", "happy", "neutral", "sad")


def choose(systems: Sequence[str], quick: bool, compared: Sequence[str]) -> tuple[str, ...]:
    """Return the systems to measure: those that are named, or by default a few or all that a section compares."""
    return tuple(systems) or (QUICK if quick else tuple(compared))


def build(system: str, small: bool = False, device: str = "cpu"):
    """Return a classifier with random weights, in evaluation mode.

    Args:
        system: One of `SYSTEMS`. The members of the late fusion are trainable.
        small: Whether to build the model of the spoken corpus.
        device: Device of its weights, which a GPU draws in a fraction of the time.
    """
    import torch

    with torch.device(device):
        model = _build(system, small).to(device)  # transformers draws some weights on the CPU, whatever the device
    for name, part in model.named_modules():
        if name.endswith(MODALITIES["video"].encoder):
            keep_scale(part, encoder_configs(model.config)["video"].image_size)
    return model


def keep_scale(encoder, side: int) -> None:
    """Initialise an encoder with batch normalisations so that values keep their scale from layer to layer.

    With the weights that transformers draws, they shrink to numbers next to zero, with which a CPU computes ten times
    longer. Trained encoders have none of these. Convolutions are drawn anew, and the normalisations have the statistics of noise.

    Args:
        encoder: A vision encoder, in evaluation mode.
        side: Pixels of the side of an image.
    """
    import torch

    norms = [part for part in encoder.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    if not norms or encoder.device.type == "meta":
        return
    for part in encoder.modules():
        if isinstance(part, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(part.weight)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_parameters()
        norm.train().momentum = 1.0
    with torch.no_grad():
        encoder(pixel_values=torch.randn(4, 3, side, side, device=encoder.device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval().momentum = momentum


def _build(system: str, small: bool):
    if system != LATE_FUSION:
        return build_recipe((SMALL_RECIPES if small else RECIPES)[system])
    from ..configuration.configuration_late_fusion import LateFusionConfig
    from ..modeling.modeling_late_fusion import LateFusionForSequenceClassification

    members = [_build(name, small) for name in MEMBERS]
    config = LateFusionConfig(member_configs=[member.config for member in members], freeze_members=False)
    return LateFusionForSequenceClassification(config, members=members).eval()


def build_recipe(recipe: str):
    """Return the model of a recipe with random weights; pretrained encoders become configurations of the same size."""
    from ..training import memory

    return memory.build_recipe(Path(recipes.__file__).parent / recipe)[0].eval()


def encoder_configs(config) -> dict:
    """Return the configurations of the encoders by modality; those of all members for a late fusion."""
    if hasattr(config, "member_configs"):
        return {name: inner for member in config.member_configs for name, inner in encoder_configs(member).items()}
    return {name: copy.deepcopy(getattr(config, MODALITIES[name].config_field)) for name in config.encoders}


def make_batch(config, seconds: Sequence[float], device: str = "cpu") -> dict:
    """Return a batch of noise with typical numbers of samples, tokens, segments and frames, as the collator makes it.

    Args:
        config: The configuration of a classifier.
        seconds: Length of each utterance.
        device: Device of the tensors.
    """
    import torch

    from ..configuration.modalities import count_segments

    random, batch = torch.Generator().manual_seed(0), {"labels": torch.arange(len(seconds)) % len(LABELS)}
    counts = {
        "audio": [round(SAMPLING_RATE * length) for length in seconds],
        "text": [2 + round(3 * length) for length in seconds],
        "video": [max(1, round(FRAMES_PER_SECOND * length)) for length in seconds],
    }
    lengths = {name: tuple(counts[name]) for name in config.modalities}
    masks = {name: make_masks(counts) for name, counts in lengths.items()}
    configs = encoder_configs(config)
    if "audio" in masks:
        mask = masks["audio"]
        batch |= {
            "input_values": torch.randn(mask.shape, generator=random) * mask,
            "audio_attention_mask": mask,
        }
    if "text" in masks:
        mask = masks["text"]
        words = torch.randint(5, configs["text"].vocab_size, mask.shape, generator=random) * mask
        batch |= {"input_ids": words, "attention_mask": mask}
    if "video" in masks:
        mask, side = masks["video"], configs["video"].image_size
        pixels = torch.randn(*mask.shape, 3, side, side, generator=random) * mask[:, :, None, None, None]
        batch |= {"pixel_values_videos": pixels, "video_attention_mask": mask}
    for level in config.span_levels:
        batch[f"{level}_spans"] = make_spans(seconds, SEGMENTS[level])
        lengths[level] = count_segments(batch[f"{level}_spans"])
    return {name: value.to(device) for name, value in batch.items()} | {"lengths": lengths}


def make_spans(seconds: Sequence[float], rate: float):
    """Return segments of equal length, `(batch, segments, 2)` in seconds, -1 where padded."""
    import torch

    counts = [max(1, round(rate * length)) for length in seconds]
    bounds = torch.arange(max(counts) + 1) / rate
    spans = torch.stack([bounds[:-1], bounds[1:]], dim=-1).repeat(len(seconds), 1, 1)
    return spans.masked_fill(make_masks(counts)[..., None] == 0, -1.0)


def make_masks(lengths: Sequence[int]):
    """Return masks `(batch, longest)`: ones, then zeros."""
    import torch

    return (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
