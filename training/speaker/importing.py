"""Import of a speaker network that another toolkit has trained: its weights under our names (ours)."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import Wav2Vec2FeatureExtractor

from ...configuration.configuration_speaker_resnet import SpeakerResNetConfig
from ...configuration.plain_text import show_some, show_value
from ...corpora.atomic_write import staged
from ...modeling.modeling_checkpoint import check_finite, count_weights, read_header
from ...modeling.modeling_speaker_resnet import SpeakerResNetModel
from ...processing import EmoFusionProcessor
from ..model_building import check_fields

# Their names -> ours, for ResNets with the names of torchvision, and the embedding layer of WeSpeaker. A `*` stands for one
# part of a name; a tensor without a name of ours is left out.
NAMES: dict[str, str | None] = {
    "conv1.*": "audio_encoder.stem.conv.*",
    "bn1.*": "audio_encoder.stem.norm.*",
    **{
        f"layer{stage + 1}.*.{theirs}.*": f"audio_encoder.stages.{stage}.*.{ours}.*"
        for stage in range(4)
        for theirs, ours in {
            "conv1": "first.conv",
            "bn1": "first.norm",
            "conv2": "second.conv",
            "bn2": "second.norm",
            "shortcut.0": "shortcut.conv",
            "shortcut.1": "shortcut.norm",
            "downsample.0": "shortcut.conv",
            "downsample.1": "shortcut.norm",
        }.items()
    },
    "seg_1.*": "embedding_projection.*",
    "projection.*": None,
}
# Weights of ours that other networks need not have.
OPTIONAL = ("missing_modality_embeddings.audio", "num_batches_tracked")


def import_speaker_network(
    file: str | Path, out: str | Path, names: Mapping[str, str | None] = NAMES, fields: Mapping | None = None
) -> SpeakerResNetModel:
    """Write a folder from which emotion models of the variant `speaker_resnet` can start (`model_name_or_path`).

    The spectrogram stays ours, whatever the weights were trained on.

    Args:
        file: A safetensors file with the weights of a ResNet.
        out: The new folder.
        names: Their names of weights, with ours; see `NAMES`.
        fields: Fields of `SpeakerResNetConfig`; its defaults are a ResNet-34 with 80 bands.

    Returns:
        The network.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is no safetensors file, a weight is missing, has no name of ours or another shape, a field is
            unknown, or `out` is not empty.
    """
    file, out, fields = Path(file), Path(out), dict(fields or {})
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty; give a new folder.")
    if not file.is_file():
        raise FileNotFoundError(f"There is no file {file}.")
    if file.suffix != ".safetensors":
        raise ValueError(
            f"{file} is not a safetensors file; a pickle may run any code when it is opened, so save the weights with "
            "safetensors.torch.save_file where you trust it."
        )
    check_fields("model_config", fields, SpeakerResNetConfig())
    model = SpeakerResNetModel(SpeakerResNetConfig(**{"apply_spec_augment": False, **fields}))
    read_header(file)
    load_weights(model, load_file(file), names, str(file))
    processor = EmoFusionProcessor(Wav2Vec2FeatureExtractor(return_attention_mask=True), None)
    out.mkdir(parents=True, exist_ok=True)
    with staged(out) as staging:
        model.save_pretrained(staging)
        processor.save_pretrained(staging)
    return model


def load_weights(
    model: SpeakerResNetModel, weights: Mapping[str, torch.Tensor], names: Mapping[str, str | None], source: str
) -> None:
    """Copy weights into a network.

    Args:
        model: The network, which is changed.
        weights: Tensors under their names.
        names: Their names, with ours.
        source: What an error names.

    Raises:
        ValueError: If a weight is missing, is not finite, has no name of ours or another shape.
    """
    own, found = model.state_dict(), {}
    for theirs, weight in weights.items():
        name = rename(theirs, names, source)
        if name is None:
            continue
        if name not in own or name in found:
            reason = "two weights have" if name in found else "the network does not have"
            raise ValueError(f"{source}: {theirs} becomes {name}, which {reason}; change names or model_config.")
        if weight.shape != own[name].shape:
            raise ValueError(
                f"{source} has {theirs} with the shape {tuple(weight.shape)}, and {name} has {tuple(own[name].shape)}; give "
                "the sizes of the checkpoint in model_config."
            )
        found[name] = weight
    if missing := [name for name in own if name not in found and not name.endswith(OPTIONAL)]:
        raise ValueError(
            f"{source} lacks {count_weights(missing)} of the network ({show_some(missing)}); change names or model_config."
        )
    model.load_state_dict({**own, **found})
    check_finite(model, source)


def rename(theirs: str, names: Mapping[str, str | None], source: str) -> str | None:
    """Return our name of a weight; None if it is left out.

    Args:
        theirs: The name in the other toolkit.
        names: Their names, with ours; the first that fits counts.
        source: What an error names.

    Raises:
        ValueError: If no name fits, or the two names of a pair differ in the number of `*`.
    """
    for pattern, target in names.items():
        fits = re.fullmatch(re.escape(str(pattern)).replace(r"\*", r"([^.]+)"), theirs)
        if fits is None or target is None:
            if fits:
                return None
            continue
        if not isinstance(target, str) or target.count("*") != len(fits.groups()):
            raise ValueError(f"names has {pattern}: {show_value(target)}; give a name with as many * as {pattern}.")
        for part in fits.groups():
            target = target.replace("*", part, 1)
        return target
    raise ValueError(
        f"{source} has the weight {theirs}, which has no name of ours; add it to names, or leave it out there with null."
    )
