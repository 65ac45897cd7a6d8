"""A training step of every system: share of encoders and fusion, and of the processor's peak.

Models are those of the recipes with random weights: small ones of the spoken corpus, full-size ones of IEMOCAP. The floor of
a step is its number of floating-point operations at the rate of a large matrix product, which is measured in turn with it.
"""

import functools
from collections.abc import Callable
from pathlib import Path

from .. import recipes
from ..configuration.modalities import SAMPLING_RATE
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
LENGTHS = (1.9, 3.2, 4.5, 8.4)  # seconds: a short, a typical, an average and a long turn of IEMOCAP
FRAMES_PER_SECOND = 2
SEGMENTS = {"word": 2.5, "syllable": 4.0, "phone": 10.0}  # per second
LABELS = ("angry", "happy", "neutral", "sad")
PRODUCT = 2048  # rows and columns of the matrices of the product


def measure(quick: bool) -> list[dict]:
    """Return the tables, see `benchmarks`."""
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
        "Fusion: share of `fuse`, head and loss in the median, with given encoder states. GFLOP: matrix products, "
        "convolutions and attention, padding included. Ratio: to the floor. There is no late fusion: "
        "it takes the time of its members, and of a weighted sum of their scores."
    )
    return tables


def measure_step(recipe: str, clips: int, repeats: int) -> dict:
    """Return the row of a system."""
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
    """Return the model of a recipe with random weights; pretrained encoders become configurations of the same size."""
    from ..training.memory import build_recipe

    return build_recipe(Path(recipes.__file__).parent / recipe)[0]


def make_batch(config, clips: int) -> dict:
    """Return a batch of noise with typical numbers of samples, tokens, segments and frames."""
    import torch

    seconds = [LENGTHS[clip % len(LENGTHS)] for clip in range(clips)]
    batch = {"labels": torch.arange(clips) % len(LABELS)}
    if "audio" in config.modalities:
        mask = masks([round(SAMPLING_RATE * length) for length in seconds])
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
    """Return masks `(batch, longest)`: ones, then zeros."""
    import torch

    return (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()


def fusion_alone(model, batch: dict) -> Callable:
    """Return a function that computes the loss from fixed encoder states, which are leaves of its graph."""
    import torch

    given = []
    fuse = model.model.fuse
    model.model.fuse = lambda *arguments: given.append(arguments) or fuse(*arguments)
    with torch.no_grad():
        model(**batch)
    del model.model.fuse  # uncovers the method
    states, *others = given[0]
    leaves = {name: state.detach().requires_grad_() for name, state in states.items()}

    def loss():
        output = model.model.fuse(leaves, *others)
        return sum(model.losses(model.classifier(model.dropout(output.embedding)), batch["labels"], output).values())

    return loss


def train_step(model, loss: Callable) -> None:
    """Compute gradients, without an optimizer step."""
    model.zero_grad()
    loss().backward()


def count_operations(call: Callable) -> int:
    """Return the number of floating-point operations of a call, without recurrent layers."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

    # The counter lacks the attention kernels of the CPU.
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
