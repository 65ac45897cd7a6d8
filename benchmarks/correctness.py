"""Correctness of half precision and of batches, for every system and every encoder, on any device.

Weights are random. The classification heads are scaled so that logits have a standard deviation of 1, as those of a trained
model have; without that all log-probabilities are nearly equal.
"""

from collections.abc import Mapping

from ..configuration.modalities import MODALITIES, SPAN_INPUTS
from .measuring import conditions, table
from .setting import Setting, describe_clips
from .systems import SYSTEMS, build, make_batch

# Encoder -> modality and fields of its configuration; sizes are those of the base models.
ENCODERS = {
    "wav2vec2, group norm": ("audio", {"model_type": "wav2vec2"}),
    "wav2vec2, layer norm": (
        "audio",
        {"model_type": "wav2vec2", "feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True},
    ),
    "hubert": ("audio", {"model_type": "hubert"}),
    "wavlm": ("audio", {"model_type": "wavlm"}),
    "data2vec": ("audio", {"model_type": "data2vec-audio"}),
    "whisper": ("audio", {"model_type": "whisper"}),
    "bert": ("text", {"model_type": "bert"}),
    "roberta": ("text", {"model_type": "roberta", "max_position_embeddings": 514}),
    "deberta": (
        "text",
        {
            "model_type": "deberta-v2",
            "vocab_size": 30522,
            "hidden_size": 768,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "intermediate_size": 3072,
            "relative_attention": True,
            "position_buckets": 256,
            "pos_att_type": ["p2c", "c2p"],
            "share_att_key": True,
            "norm_rel_ebd": "layer_norm",
            "position_biased_input": False,
            "type_vocab_size": 0,
        },
    ),
    "modernbert": ("text", {"model_type": "modernbert", "num_hidden_layers": 12}),
    "vit": ("video", {"model_type": "vit"}),
    "efficientnet": (
        "video",
        {
            "model_type": "efficientnet",
            "image_size": 224,
            "width_coefficient": 1.0,
            "depth_coefficient": 1.0,
            "hidden_dim": 1280,
        },
    ),
}
NARROW = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
SMALL = {
    "whisper": {"d_model": 48, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 64},
    "efficientnet": {"image_size": 32, "width_coefficient": 0.25, "depth_coefficient": 0.25, "hidden_dim": 320},
    "vit": NARROW | {"image_size": 32},
}


def measure_correctness(setting: Setting, systems=SYSTEMS, encoders=tuple(ENCODERS)) -> list[dict]:
    """Return the tables of systems and of encoders.

    Args:
        setting: The setting; every clip of its batch is a row.
        systems: Names of `SYSTEMS`.
        encoders: Names of `ENCODERS`.
    """
    import torch

    torch.manual_seed(0)
    tables = [
        table(title, [check(name, make(name, setting.small, setting.device), setting) for name in names])
        for title, names, make in (
            (f"Correctness of the systems: {describe_clips(setting.lengths)}", systems, build),
            ("Correctness of the encoders, each in the model of one modality", encoders, build_encoder),
        )
    ]
    tables[-1]["note"] = (
        "Largest differences of log-probabilities. bfloat16: from float32 on the same device. Alone: a row alone and "
        f"unpadded from the row in its batch. CPU: from float32 on the CPU. {conditions(setting.device)}"
    )
    return tables


def build_encoder(name: str, small: bool, device: str = "cpu"):
    """Return the classifier of one modality with an encoder of `ENCODERS`, in evaluation mode."""
    import torch

    from ..configuration.configuration_unimodal import UnimodalConfig
    from ..modeling.modeling_unimodal import UnimodalForSequenceClassification

    modality, fields = ENCODERS[name]
    fields = fields | (SMALL.get(name, NARROW) if small else {})
    config = UnimodalConfig(modality=modality, num_labels=4, **{MODALITIES[modality].config_field: fields})
    with torch.device(device):
        return UnimodalForSequenceClassification(config).eval()


def check(name: str, model, setting: Setting) -> dict:
    """Return the row of a model: its largest differences."""
    import torch

    device = setting.device
    with torch.no_grad(), exact_products():
        model, batch = model.cpu(), make_batch(model.config, setting.lengths)
        scale_heads(model, batch)
        on_cpu = scores(model, batch)
        model, batch = model.to(device), to_device(batch, device)
        exact, row = scores(model, batch), {"what": name}
        row |= {"CPU": largest(on_cpu, exact)} if device != "cpu" else {}
        row["alone, float32"] = largest(exact, scores_alone(model, batch))
        half = scores(model.to(torch.bfloat16), batch)
        agree = int((half.argmax(dim=-1) == exact.argmax(dim=-1)).sum())
        return row | {
            "bfloat16": largest(exact, half),
            "same class": f"{agree} of {len(exact)}",
            "alone, bfloat16": largest(half, scores_alone(model, batch)),
        }


def exact_products():
    """Return a context in which a GPU computes float32 convolutions in float32, not in TF32."""
    import torch

    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


def scale_heads(model, batch: Mapping) -> None:
    """Scale the last layer of each classification head so that its logits have a standard deviation of 1."""
    from torch import nn

    width, found = model.config.num_labels, {}
    heads = [part for part in model.modules() if isinstance(part, nn.Linear) and part.out_features == width]
    hooks = [
        head.register_forward_hook(lambda head, args, output: found.update({head: output.float().std()}))
        for head in heads
    ]
    model(**batch)
    for hook in hooks:
        hook.remove()
    for head, deviation in found.items():
        for weight in head.parameters():
            weight.div_(deviation)


def scores(model, batch: Mapping):
    """Return log-probabilities `(batch, classes)` in float32 on the CPU."""
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    return model(**inputs).logits.float().log_softmax(dim=-1).cpu()


def scores_alone(model, batch: Mapping):
    """Return the log-probabilities of each row alone, `(batch, classes)`."""
    import torch

    rows = len(batch["labels"])
    return torch.cat([scores(model, take_row(batch, row)) for row in range(rows)])


def take_row(batch: Mapping, row: int) -> dict:
    """Return one row of a batch, unpadded."""
    lengths = {name: (counts[row],) for name, counts in batch["lengths"].items()}
    taken = {"labels": batch["labels"][row : row + 1], "lengths": lengths}
    for name in MODALITIES.keys() & lengths.keys():
        modality, (count,) = MODALITIES[name], lengths[name]
        taken |= {key: batch[key][row : row + 1, :count] for key in (modality.main_input, modality.mask)}
    for key in SPAN_INPUTS.values():
        if key in batch:
            spans = batch[key][row]
            taken[key] = spans[spans[:, 0] >= 0][None]
    return taken


def to_device(batch: Mapping, device: str) -> dict:
    """Return a batch with its tensors on a device."""
    return {name: value.to(device) if hasattr(value, "to") else value for name, value in batch.items()}


def largest(first, second) -> float:
    """Return the largest absolute difference."""
    return float((first - second).abs().max())
