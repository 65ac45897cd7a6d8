"""A training step of every system, against stock encoders with mean pooling and a linear head.

A step is forward, backward and fused AdamW. Layers that a system freezes are frozen in stock too. Stock and ours are called in
turn; the peak memory of each is that of a process of its own.
"""

import contextlib
import functools
import gc
from collections.abc import Callable, Sequence

from .floors import count_operations, make_product, product_rate
from .measuring import conditions, finisher, peak_memory, ratios, table, time_in_turn, with_progress
from .setting import Setting, as_setting, describe_clips, run, setting_of
from .systems import WITH_STOCK, build, choose, make_batch

COMPARED = WITH_STOCK
REPEATS = 3  # at most, on a CPU
DTYPES = ("float32", "bfloat16")
LEARNING_RATE = 1e-6


def measure(quick: bool, systems: Sequence[str] = ()) -> list[dict]:
    """Return the tables, see `benchmarks`."""
    setting = setting_of(quick)
    chosen = with_progress(choose(systems, quick, COMPARED), "Training steps")
    return [make_table([row for system in chosen for row in measure_system(system, setting)], setting)]


def make_table(rows: list[dict], setting: Setting) -> dict:
    """Return the table."""
    note = (
        "Times: the least of all repeats. Ratio: time of stock over that of ours. GFLOP: products, convolutions and "
        "attention of our step. Peak %: their rate over that of a large product in the same dtype. MB: peak memory, "
        f"{'of a process of its own' if setting.device == 'cpu' else 'of tensors'}. bfloat16: autocast, weights in "
        f"float32. {conditions(setting.device)}"
    )
    return table(f"Forward, backward and AdamW: {describe_clips(setting.lengths)}", rows, note)


def measure_system(system: str, setting: Setting) -> list[dict]:
    """Return the rows of a system, one for each dtype: times in turn, then the peak memory of each in its own process."""
    rows = run(measure_times, setting, system=system)
    for row in rows:
        stock, ours = (
            run(measure_peak, setting, system=system, which=which, dtype=row["dtype"]) for which in ("stock", "ours")
        )
        row |= {"stock MB": stock, "ours MB": ours, "memory ratio": ours / stock}
    return rows


def measure_times(system: str, fields: dict) -> list[dict]:
    """Return the times of a system: a row for each dtype.

    Args:
        system: One of `WITH_STOCK`.
        fields: The setting.
    """
    import torch

    torch.manual_seed(0)
    setting = as_setting(fields)
    device, models = setting.device, build_models(system, setting)
    batch = make_batch(models["ours"].config, setting.lengths, device)
    optimizers = {name: make_optimizer(model) for name, model in models.items()}
    rows = []
    for dtype in DTYPES:
        steps = {
            name: functools.partial(train_step, model, optimizers[name], batch, dtype, device)
            for name, model in models.items()
        }
        product = {"product": make_product(getattr(torch, dtype), device)}
        repeats = min(setting.repeats, REPEATS) if device == "cpu" else setting.repeats
        timings = time_in_turn(steps | product, repeats, finisher(device))
        operations = count_operations(steps["ours"])
        rate = operations / timings["ours"].least / 1e6
        rows.append(
            {
                "what": system,
                "dtype": dtype,
                "stock ms": timings["stock"].least,
                "ours ms": timings["ours"].least,
                **ratios(timings["stock"], timings["ours"]),
                "GFLOP": operations / 1e9,
                "peak %": 100 * rate / product_rate(timings["product"].least, device),
            }
        )
    return rows


def measure_peak(system: str, which: str, dtype: str, fields: dict) -> float:
    """Return the peak memory in MB of two steps: of the process, or of the tensors on a GPU.

    Args:
        system: One of `WITH_STOCK`.
        which: Either `"stock"` or `"ours"`.
        dtype: Either `"float32"` or `"bfloat16"`.
        fields: The setting.
    """
    import torch

    setting = as_setting(fields)
    models = build_models(system, setting)
    batch = make_batch(models["ours"].config, setting.lengths, setting.device)
    model = models[which]
    models.clear()
    gc.collect()
    if setting.device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    optimizer = make_optimizer(model)
    for _ in range(2):
        train_step(model, optimizer, batch, dtype, setting.device)
    return peak_memory() if setting.device == "cpu" else torch.cuda.max_memory_allocated() / 1e6


def build_models(system: str, setting: Setting) -> dict:
    """Return stock with a head, and ours, in training mode."""
    import torch

    from .stock import StockEncoders

    model = build(system, setting.small, setting.device)
    with torch.device(setting.device):
        stock = StockEncoders(model, head=True).to(setting.device)
    return {"stock": stock.train(), "ours": model.train()}


def make_optimizer(model):
    """Return a fused AdamW of the trainable weights."""
    import torch

    weights = [weight for weight in model.parameters() if weight.requires_grad]
    return torch.optim.AdamW(weights, lr=LEARNING_RATE, fused=True)


def train_step(model, optimizer, batch: dict, dtype: str, device: str) -> None:
    """Do a step: forward, in autocast if the dtype is not float32, backward, and the optimizer."""
    optimizer.zero_grad()
    run_backward(lambda: model(**batch)["loss"], dtype, device)
    optimizer.step()


def run_backward(loss: Callable, dtype: str, device: str) -> None:
    """Do the forward pass, in autocast if the dtype is not float32, and the backward pass."""
    with autocast(dtype, device):
        value = loss()
    value.backward()


def autocast(dtype: str, device: str) -> contextlib.AbstractContextManager:
    """Return the context of a forward pass in a dtype with weights in float32."""
    import torch

    return contextlib.nullcontext() if dtype == "float32" else torch.autocast(device, getattr(torch, dtype))
