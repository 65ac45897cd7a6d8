"""A training step of every system: what goes into the encoders, what into the fusion, and how near the processor's peak it comes.

The models are those of the recipes: the small ones of the spoken corpus and the full-size ones of IEMOCAP, with random weights.
The floor of a step is its floating-point operations at the rate of a large matrix product, measured in turn with it.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import yaml

from .. import recipes
from .measuring import compare, table
from .subprocess_run import run_in_subprocess

SYSTEMS = {
    "speech": "speech",
    "text": "text",
    "cross_attention": "cross_attention",
    "multi_level": "multi_level",
    "speaker_resnet": "speaker_resnet_scratch",
    "wavfusion": "wavfusion",
}
QUICK = ("speech", "cross_attention")
LENGTHS = (1.9, 3.2, 4.5, 8.4)  # seconds: a short, a usual, a mean and a long turn of IEMOCAP
FRAMES_PER_SECOND = 2
SEGMENTS = {"word": 2.5, "syllable": 4.0, "phone": 10.0}  # per second
LABELS = ("angry", "happy", "neutral", "sad")
PRODUCT = 2048  # rows and columns of the matrices whose product is the peak


def measure(quick: bool) -> list[dict]:
    """See `benchmarks`."""
    sizes = {"small models, 16 clips": ("spoken", 16, 7), "full-size models, 4 clips": ("iemocap", 4, 3)}
    if quick:
        sizes = {"small models, 2 clips": ("spoken", 2, 1)}
    tables = []
    for title, (corpus, clips, repeats) in sizes.items():
        rows = []
        for system, full_size in SYSTEMS.items():
            if quick and system not in QUICK:
                continue
            name = full_size if corpus == "iemocap" else system
            row, memory = run_in_subprocess(measure_step, recipe=f"{corpus}/{name}.yaml", clips=clips, repeats=repeats)
            rows.append(row | {"peak MB": memory})
        tables.append(table(f"Forward and backward, {title} of {min(LENGTHS)} to {max(LENGTHS)} s, float32", rows))
    tables[-1]["note"] = (
        "Fusion: the part of the median that `fuse`, head and loss take, given the encoders' states. GFLOP: matrix products, "
        "convolutions and attentions, padding included. Ratio: to the floor, all of them at the peak. Late fusion is left out: "
        "it is its members, and a weighted sum of their scores."
    )
    return tables


def measure_step(recipe: str, clips: int, repeats: int) -> dict:
    """A row for one system."""
    import torch

    torch.manual_seed(0)
    model = build(recipe).train()
    batch = make_batch(model.config, clips)
    left, right = torch.randn(2, PRODUCT, PRODUCT)
    fuse = fusion_alone(model, batch)
    step = functools.partial(train_step, model, lambda: model(**batch).loss)
    calls = {"product": lambda: left @ right, "step": step, "fusion": functools.partial(train_step, model, fuse)}
    operations, fused = count_operations(step), count_operations(calls["fusion"])
    product, whole, fusion = compare(calls, repeats)
    rate = 2 * PRODUCT**3 / product["median ms"] / 1e6  # GFLOP/s
    return {
        "what": Path(recipe).stem,
        "parameters": model.num_parameters(),
        **{name: whole[name] for name in ("median ms", "least", "most")},
        "fusion %": 100 * fusion["median ms"] / whole["median ms"],
        "GFLOP": operations / 1e9,
        "in fusion %": 100 * fused / operations,
        "GFLOP/s": operations / whole["median ms"] / 1e6,
        "peak GFLOP/s": rate,
        "ratio": whole["median ms"] / 1e3 * rate / (operations / 1e9),
    }


def build(recipe: str):
    """The model of a recipe; configurations of the same size stand for its pre-trained encoders."""
    from ..training.arguments import ModelArguments
    from ..training.run import build_model

    folder = Path(recipes.__file__).parent
    described = yaml.safe_load((folder / recipe).read_text("utf-8"))
    sizes = yaml.safe_load((folder / "registry.yaml").read_text("utf-8"))["encoders"]
    fields = dict(described.get("model_config", {}))
    for kind in ("audio", "text", "vision"):
        if encoder := described.get(f"{kind}_model_name_or_path"):
            fields[f"{kind}_config"] = sizes[encoder]
    return build_model(ModelArguments(variant=described["variant"], model_config=fields), list(LABELS))


def make_batch(config, clips: int) -> dict:
    """Noise as long as speech is, as many tokens and segments as it would have, and pictures."""
    import torch

    seconds = [LENGTHS[clip % len(LENGTHS)] for clip in range(clips)]
    batch = {"labels": torch.arange(clips) % len(LABELS)}
    if "audio" in config.modalities:
        mask = masks([round(16000 * length) for length in seconds])
        batch |= {"input_values": torch.randn(mask.shape) * mask, "audio_attention_mask": mask}
    if "text" in config.modalities:
        mask = masks([2 + round(3 * length) for length in seconds])
        words = torch.randint(5, config.text_config.vocab_size, mask.shape) * mask
        batch |= {"input_ids": words, "attention_mask": mask}
    if "video" in config.modalities:
        mask, side = masks([round(FRAMES_PER_SECOND * length) for length in seconds]), config.vision_config.image_size
        batch |= {"pixel_values_videos": torch.randn(*mask.shape, 3, side, side), "video_attention_mask": mask}
    for level in config.span_levels:
        counts = [round(SEGMENTS[level] * length) for length in seconds]
        bounds = torch.arange(max(counts) + 1) / SEGMENTS[level]
        spans = torch.stack([bounds[:-1], bounds[1:]], dim=-1).repeat(clips, 1, 1)
        batch[f"{level}_spans"] = spans.masked_fill(masks(counts)[..., None] == 0, -1.0)
    return batch


def masks(lengths: list[int]):
    """`(batch, longest)`: ones, then zeros."""
    import torch

    return (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()


def fusion_alone(model, batch: dict) -> Callable:
    """The loss from the states that the encoders gave once, as leaves of a graph of its own."""
    import torch

    given = []
    fuse = model.model.fuse
    model.model.fuse = lambda *arguments: given.append(arguments) or fuse(*arguments)
    with torch.no_grad():
        model(**batch)
    del model.model.fuse  # which uncovers the method
    states, *others = given[0]
    leaves = {name: state.detach().requires_grad_() for name, state in states.items()}

    def loss():
        output = model.model.fuse(leaves, *others)
        return sum(model.losses(model.classifier(model.dropout(output.embedding)), batch["labels"], output).values())

    return loss


def train_step(model, loss: Callable) -> None:
    """Gradients; no optimiser."""
    model.zero_grad()
    loss().backward()


def count_operations(call: Callable) -> int:
    """Floating-point operations of a call, those of recurrent layers not counted."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

    # The counter knows the attention of other devices, not that of CPUs.
    def forward(query, key, value, *args, out_shape=None, **kwargs):
        return sdpa_flop_count(query, key, value)

    def backward(gradient, query, key, value, *args, out_shape=None, **kwargs):
        return sdpa_backward_flop_count(gradient, query, key, value)

    attention = {
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: forward,
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: backward,
    }
    with FlopCounterMode(display=False, custom_mapping=attention) as counter:
        call()
    return counter.get_total_flops()
