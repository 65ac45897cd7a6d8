"""Fusion, head and loss of every system over its own encoders.

The encoders alone are computed by the same code: the same model, with a `fuse` that only takes the mean of the states. Both
are called in turn. The encoders of WavFusion are those of a twin whose last layers keep their self-attention.
"""

import functools
from collections.abc import Callable, Sequence

from .floors import count_operations, count_waits
from .measuring import conditions, finisher, ratios, table, time_in_turn, with_progress
from .setting import Setting, as_setting, describe_clips, run, setting_of
from .systems import SYSTEMS, build, choose, make_batch
from .training_step import make_optimizer, run_backward

COMPARED = SYSTEMS
DTYPES = ("float32", "bfloat16")
PASSES = {"forward": "Forward", "step": "Forward, backward and AdamW"}


def measure(quick: bool, systems: Sequence[str] = ()) -> list[dict]:
    """Return the tables, see `benchmarks`."""
    setting = setting_of(quick)
    found = [
        run(measure_system, setting, system=system)
        for system in with_progress(choose(systems, quick, COMPARED), "Overhead")
    ]
    return make_tables(found, setting)


def make_tables(found: list[dict[str, list[dict]]], setting: Setting) -> list[dict]:
    """Return a table for forward passes and one for training steps, from the results of `measure_system`."""
    tables = [
        table(f"{title}: {describe_clips(setting.lengths)}", [row for rows in found for row in rows[name]])
        for name, title in PASSES.items()
    ]
    waits = "operations whose result a host would wait for" if setting.device == "cpu" else "as torch reports them"
    tables[-1]["note"] = (
        "Times: the least of all repeats. Ratio: whole model over its encoders alone. Fusion %: share of the "
        "floating-point operations outside of the encoders. bfloat16: weights of the forward, autocast of the step. "
        f"Waits of forward and backward pass: {waits}. {conditions(setting.device)}"
    )
    return tables


def measure_system(system: str, fields: dict) -> dict[str, list[dict]]:
    """Return the rows of a system by pass: one for each dtype.

    Args:
        system: One of `SYSTEMS`.
        fields: The setting.
    """
    import torch

    torch.manual_seed(0)
    setting = as_setting(fields)
    device, rows = setting.device, {name: [] for name in PASSES}
    model, encoders = build(system, setting.small, device), build_encoders(system, setting.small, device)
    batch = make_batch(model.config, setting.lengths, device)
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    losses = {
        "whole": lambda: model(**batch).loss,
        "encoders": lambda: encoders.base_model(**inputs).embedding.mean(),
    }
    forms = {"whole": model, "encoders": encoders}
    for dtype in DTYPES:
        backward = {name: functools.partial(run_backward, loss, dtype, device) for name, loss in losses.items()}
        calls = {name: step_of(forms[name], call) for name, call in backward.items()}
        rows["step"].append(compare_both(system, dtype, calls, backward["whole"], setting))
    for dtype in DTYPES:
        for form in forms.values():
            form.eval().zero_grad()
            form.to(getattr(torch, dtype))
        calls = {
            "whole": functools.partial(model, **batch),
            "encoders": functools.partial(encoders.base_model, **inputs),
        }
        with torch.no_grad():
            rows["forward"].append(compare_both(system, dtype, calls, calls["whole"], setting))
    return rows


def compare_both(
    system: str, dtype: str, calls: dict[str, Callable], without_optimizer: Callable, setting: Setting
) -> dict:
    """Return the row of a pass of the whole model and of its encoders; waits are those of `without_optimizer`."""
    timings = time_in_turn(calls, setting.repeats, finisher(setting.device))
    operations = {which: count_operations(call) for which, call in calls.items()}
    return {
        "what": system,
        "dtype": dtype,
        "encoders ms": timings["encoders"].least,
        "whole ms": timings["whole"].least,
        **ratios(timings["whole"], timings["encoders"]),
        "GFLOP": operations["whole"] / 1e9,
        "fusion %": 100 * (1 - operations["encoders"] / operations["whole"]),
        "waits": count_waits(without_optimizer, setting.device),
    }


def step_of(model, backward: Callable) -> Callable:
    """Return a training step: the optimizer skips weights that the loss does not depend on."""
    optimizer = make_optimizer(model.train())

    def step() -> None:
        optimizer.zero_grad()
        backward()
        optimizer.step()

    return step


def build_encoders(system: str, small: bool, device: str = "cpu"):
    """Return a classifier whose `fuse` is only a mean, so that its base model is its encoders."""
    model = build(system, small, device)
    if system == "wavfusion":
        model = plain_twin(model).to(device)
    from ..modeling.modeling_emofusion import EmoFusionModel

    for part in model.modules():
        if isinstance(part, EmoFusionModel):
            part.fuse = functools.partial(take_mean, part.config.embedding_size)
    return model


def take_mean(width: int, states: dict, rows: dict, *others):
    """Return an output with an embedding `(batch, width)` of one number: the sum of the means of all states."""
    from ..modeling.modeling_outputs import EmotionOutput

    total, (name, first) = sum(state.mean() for state in states.values()), next(iter(states.items()))
    return EmotionOutput(embedding=total.to(first.dtype).expand(len(rows[name].lengths), width))


def plain_twin(model):
    """Return a WavFusion whose speech encoder keeps all its layers; the same layers are frozen."""
    config = model.config
    fields = config.to_dict() | {"num_fusion_layers": 0, "fusion": "concat", "discrepancy_weight": 0.0}
    below = config.num_audio_layers
    fields["freeze_audio_layers"] = below if config.freeze_audio_layers == -1 else config.freeze_audio_layers
    return type(model)(type(config).from_dict(fields)).eval()
