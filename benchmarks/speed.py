"""Forward of every system, against the same encoders in stock transformers on the same padded batch.

Stock runs the encoders alone, ours runs everything up to the logits. Stock and ours are called in turn. The floor is that of
the encoders on valid positions alone: floating-point operations at the rate of a large product in the same dtype, or bytes
(each weight read once, each output of a product or convolution written and read once) at the bandwidth of a copy, whichever
takes longer; both are measured in the same rounds.
"""

import copy
import functools
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

from ..configuration.modalities import MODALITIES
from ..configuration.plain_text import show_dtype
from .floors import bandwidth, count_operations, count_states, floor_ms, make_copy, make_product, product_rate
from .measuring import Timing, conditions, finisher, ratios, table, time_in_turn, with_progress
from .setting import Setting, as_setting, describe_clips, run, setting_of
from .systems import WITH_STOCK, build, choose, make_batch

COMPARED = WITH_STOCK
# Column of the dtype -> calls of stock and of ours.
COMPARISONS = {
    "float32": ("stock float32", "ours float32"),
    "bfloat16": ("stock bfloat16", "ours bfloat16"),
    "auto against float32": ("stock float32", "ours auto"),
}


def measure(quick: bool, systems: Sequence[str] = ()) -> list[dict]:
    """Return the tables, see `benchmarks`."""
    setting = setting_of(quick)
    found = [
        run(measure_system, setting, system=system)
        for system in with_progress(choose(systems, quick, COMPARED), "Forward")
    ]
    return make_tables(found, setting)


def make_tables(found: list[dict[str, list[dict]]], setting: Setting) -> list[dict]:
    """Return a table for each batch, from the results of `measure_system`."""
    tables = [
        table(
            f"Forward, {title}: {describe_clips(lengths)}",
            [row for rows in found for row in rows[title]],
        )
        for title, lengths in setting.batches.items()
    ]
    tables[-1]["note"] = (
        "Times: the least of all repeats. Ratio: time of stock over that of ours; CPU ratio: the same of processor time. "
        "Spread: median over least, the larger of both. GFLOP: encoders, valid positions only. "
        f"{conditions(setting.device)}"
    )
    return tables


def measure_system(system: str, fields: dict) -> dict[str, list[dict]]:
    """Return the rows of a system by title of the batch.

    Args:
        system: One of `WITH_STOCK`.
        fields: The setting.
    """
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(0)
    setting = as_setting(fields)
    model = build(system, setting.small, setting.device)
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        models = build_forms(model, folder, setting.device)
        return {title: measure_batch(system, models, lengths, setting) for title, lengths in setting.batches.items()}


def build_forms(model, folder: str, device: str) -> dict:
    """Return the models that are compared: stock and ours in float32 and bfloat16, and on the CPU ours as `"auto"` loads it.

    Args:
        model: A classifier in float32, on the device.
        folder: An empty folder for a checkpoint.
        device: Device of the models.
    """
    import torch

    from .stock import StockEncoders

    with torch.device(device):
        stock = StockEncoders(model).eval()
    models = {"stock float32": stock, "ours float32": model}
    if device == "cpu":
        model.save_pretrained(folder)
        models["ours auto"] = type(model).from_pretrained(folder, dtype="auto").eval()
    models |= {
        f"{name} bfloat16": copy.deepcopy(models[f"{name} float32"]).to(torch.bfloat16) for name in ("stock", "ours")
    }
    return {name: form.to(device) for name, form in models.items()}


def measure_batch(system: str, models: dict, lengths: Sequence[float], setting: Setting) -> list[dict]:
    """Return the rows of a system on one batch: one for each comparison."""
    import torch

    device = setting.device
    batch = make_batch(models["ours float32"].config, lengths, device)
    del batch["labels"]
    calls = {name: functools.partial(form, **batch) for name, form in models.items()}
    references = {
        f"product {name}": make_product(getattr(torch, name), device) for name in ("float32", "bfloat16")
    } | {"copy": make_copy(device)}
    timings = time_in_turn(calls | references, setting.repeats, finisher(device))
    costs = count_costs(models["ours float32"], lengths)
    rows = []
    for title, (stock, ours) in COMPARISONS.items():
        if ours in models:
            dtype = show_dtype(models[ours].dtype)
            floor = floor_of(costs, dtype, timings, device)
            rows.append(
                {
                    "what": system,
                    "dtype": title.replace("auto", f"auto ({dtype})"),
                    "stock ms": timings[stock].least,
                    "ours ms": timings[ours].least,
                    **ratios(timings[stock], timings[ours]),
                    "GFLOP": costs.operations / 1e9,
                    "floor ms": floor,
                    "ours / floor": timings[ours].least / floor,
                }
            )
    return rows


@dataclass
class Costs:
    """The least work of the encoders on a batch.

    Args:
        operations: Floating-point operations on valid positions.
        weights: Number of weights.
        states: Number of values put out by products, convolutions and embeddings.
    """

    operations: int
    weights: int
    states: int


def count_costs(model, lengths: Sequence[float]) -> Costs:
    """Return the costs of the stock encoders of a classifier on clips one at a time, so that nothing is padded.

    Tensors without values are enough for that, so nothing is computed.
    """
    import torch
    from torch import nn

    from .stock import StockEncoders

    with torch.device("meta"):
        stock = StockEncoders(model).eval()
    operations, states = 0, []
    for length in lengths:
        batch = make_batch(model.config, [length], "meta")
        inputs = {modality.main_input: batch.get(modality.main_input) for modality in MODALITIES.values()}
        call = functools.partial(stock, **inputs)
        operations += count_operations(lambda call=call: states.append(count_states(stock, call)))
    tables = sum(part.weight.numel() for part in stock.modules() if isinstance(part, nn.Embedding))
    weights = sum(weight.numel() for weight in stock.parameters()) - tables  # a table is not read as a whole
    return Costs(operations, weights, sum(states))


def floor_of(costs: Costs, dtype: str, timings: dict[str, Timing], device: str) -> float:
    """Return the floor in milliseconds, in a dtype.

    Args:
        costs: The least work.
        dtype: Either `"float32"` or `"bfloat16"`.
        timings: The measurements, with those of the large products and the copy.
        device: Device of the measurements.
    """
    rate = product_rate(timings[f"product {dtype}"].least, device)
    moved = (4 if dtype == "float32" else 2) * (costs.weights + 2 * costs.states)
    return floor_ms(costs.operations, moved, rate, bandwidth(timings["copy"].least, device))
