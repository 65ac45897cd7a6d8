"""The dtype of a model: that of its weights, and the one in which it runs fastest on a CPU."""

from collections.abc import Mapping

import torch
from transformers import PreTrainedModel
from transformers.utils import logging

from ..configuration.modalities import MODALITIES, SAMPLING_RATE

logger = logging.get_logger(__name__)

# Below this number of parameters, steps other than products take most of the time, and bfloat16 gains little.
LEAST_PARAMETERS = 20_000_000
# Units for products of bfloat16, by their names in `torch.cpu.get_capabilities`.
UNITS = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-BF16"}
# The largest difference of log-probabilities, of dimensions as a share of half their scale, or as a share of the largest
# number of an embedding, that the check accepts.
TOLERANCE = 0.05
# Sizes of the batch of the check.
SECONDS, TOKENS, FRAMES = 0.5, 8, 2


def weight_dtype(dtype: str | torch.dtype | None) -> torch.dtype:
    """Return the dtype of all weights of a new model.

    Small updates vanish in half precision, so trained weights are float32 unless another dtype is given.

    Args:
        dtype: A dtype or its name; None is float32.

    Raises:
        ValueError: If it is no dtype of real numbers. `"auto"` is refused, as each part may have been saved in another.
    """
    chosen = torch.float32 if dtype is None else getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if not (isinstance(chosen, torch.dtype) and chosen.is_floating_point):
        raise ValueError(f"dtype is {dtype!r}; give float32, bfloat16 or float16, which all parts of the model get.")
    return chosen


def set_dtype(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """Cast all parts of a model, and note the dtype in its configuration.

    Args:
        model: The model.
        dtype: The dtype of all floating-point weights.
    """
    model.config.dtype = dtype
    for name in model.config.sub_configs:
        if getattr(model.config, name) is not None:
            getattr(model.config, name).dtype = dtype
    return model.to(dtype)


def choose_dtype(model: PreTrainedModel) -> PreTrainedModel:
    """Cast a model as `cast_if_faster` does, and log a message for users of Python.

    Args:
        model: The model.

    Returns:
        The model.
    """
    if chosen := cast_if_faster(model):
        remedy = "" if model.dtype == torch.float32 else '; pass dtype="float32" for float32'
        logger.warning_once(f'dtype="auto": {type(model).__name__} runs in {chosen}{remedy}.')
    return model


def cast_if_faster(model: PreTrainedModel) -> str | None:
    """Cast a float32 model to bfloat16 if it is large, its CPU has units for bfloat16, and its results stay the same.

    The results of a synthetic batch are compared, because kernels for bfloat16 are wrong on some CPUs for some shapes.

    Args:
        model: The model; it keeps its dtype if that is not float32, or if it is not on a CPU.

    Returns:
        The dtype that was chosen, with the reason; None if there was no choice.
    """
    units = bfloat16_units()
    weights = list(model.parameters())
    suits = all(weight.dtype == torch.float32 and weight.device.type == "cpu" for weight in weights)
    if units is None or not suits or sum(weight.numel() for weight in weights) < LEAST_PARAMETERS:
        return None
    difference = cast_if_equal(model, synthetic_batch(model))
    if difference > TOLERANCE:
        return f"float32, since bfloat16 changes the scores of a test by {difference:.2g}"
    return f"bfloat16, for which this CPU has units ({units})"


def bfloat16_units() -> str | None:
    """Return the name of the CPU's units for products of bfloat16, the fastest first; None if it has none."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return next((name for key, name in UNITS.items() if capabilities.get(key)), None)


def cast_if_equal(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> float:
    """Cast a model to bfloat16, and back if its results change by more than `TOLERANCE`; return the change."""
    was_training = model.training
    model.eval()
    expected = _results(model, batch)
    weights = [(weight, weight.data) for weight in model.parameters()]
    buffers = [(module, dict(module._buffers)) for module in model.modules()]
    set_dtype(model, torch.bfloat16)
    try:
        difference = (_results(model, batch) - expected).abs().nan_to_num(torch.inf).max().item()
    except RuntimeError:  # an operation has no kernel for bfloat16
        difference = torch.inf
    if difference > TOLERANCE:
        for weight, data in weights:
            weight.data = data
        for module, kept in buffers:
            module._buffers.update(kept)
        set_dtype(model, torch.float32)
    model.train(was_training)
    return difference


@torch.no_grad()
def _results(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return log-probabilities and dimensions, in units of half the scale, or an embedding, scaled to at most 1."""
    output, config = model(**batch), model.config
    if output.logits is None:
        embedding = output.embedding.float()
        return embedding / embedding.abs().max().clamp_min(1e-6)
    values = output.logits if config.is_regression else output.dimensions
    results = [] if config.is_regression else [output.logits.float().log_softmax(dim=-1)]
    if values is not None:
        lowest, highest = config.dimension_scale
        results.append((values.float() - lowest) / ((highest - lowest) / 2))
    return torch.cat(results, dim=-1)


def synthetic_batch(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Return noise for every modality of a model: two rows of different lengths."""
    configs = getattr(model.config, "member_configs", None) or [model.config]
    images = [config.vision_config for config in configs if getattr(config, "vision_config", None) is not None]
    side = getattr(images[0], "image_size", 224) if images else 224
    sides = tuple(side) if isinstance(side, (list, tuple)) else (side, side)
    draw = torch.Generator().manual_seed(0)
    values = {
        "audio": torch.randn(2, round(SECONDS * SAMPLING_RATE), generator=draw),
        "text": torch.arange(TOKENS).expand(2, -1) + 5,
        "video": torch.randn(2, FRAMES, 3, *sides, generator=draw),
    }
    batch = {}
    for name in model.config.modalities:
        modality, positions = MODALITIES[name], values[name].shape[1]
        mask = torch.ones(2, positions, dtype=torch.long)
        mask[1, positions * 3 // 4 :] = 0
        batch |= {modality.main_input: values[name], modality.mask: mask}
    return batch
