"""Checks that a folder holds a complete model that loads: weights, configuration, processor and results fit together."""

import re
from collections.abc import Iterator
from pathlib import Path

import torch
import transformers
from safetensors import safe_open
from transformers import AutoConfig, AutoProcessor, PreTrainedConfig

from ..configuration.folder_checks import read_object
from ..configuration.plain_text import one_line, show_some
from ..evaluation.results import FILE as RESULTS
from ..evaluation.results import Results, RunResults
from ..modeling.modeling_checkpoint import one_sentence, read_header
from ..processing.processor_checks import check_processor_fits

ADAPTERS = "adapter_model.safetensors"
# Weights that every adapted layer has.
MATRICES = ("lora_A", "lora_B")
# Heads of classifiers; peft names both, and a model has one, or one of dimensions, which it does not name.
HEADS = ("classifier.", "score.")


def check_loadable(folder: Path) -> None:
    """Load the model and the processor of a folder as its users will, and compare them with each other.

    The base of adapters may be elsewhere, so their weights are compared with their configuration.

    Args:
        folder: The folder of a model or of adapters, with weights.

    Raises:
        OSError: If a file is missing or cannot be read.
        ValueError: If a part is missing, damaged or does not fit the others.
    """
    results = Results.read(folder) if (folder / RESULTS).is_file() else None
    if (folder / "adapter_config.json").is_file():
        config = _check_adapters(folder)
    else:
        config = _load_model(folder)
        if isinstance(results, RunResults) and results.labels != list(config.id2label.values()):
            raise ValueError(
                f"{folder / RESULTS} has the labels {_list(results.labels)}, and config.json has "
                f"{_list(config.id2label.values())}: they are of different runs, so train or fit the model again."
            )
    with one_sentence(folder):
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
    if config is not None:
        try:
            check_processor_fits(config, processor)
        except ValueError as error:
            raise ValueError(f"{folder}: {error}") from error


def _list(labels) -> str:
    return ", ".join(one_line(label, 40) for label in labels)


def _load_model(folder: Path) -> PreTrainedConfig:
    """Load the model, which is complete then, and return its configuration."""
    with one_sentence(folder):
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    name = (getattr(config, "architectures", None) or [""])[0]
    classes = getattr(config, "auto_map", None) or {}
    auto = [key for key, reference in classes.items() if isinstance(reference, str) and reference.endswith(f".{name}")]
    if not name or not auto or not hasattr(transformers, auto[0]):
        raise ValueError(
            f"{folder / 'config.json'} names no class of its model (architectures): save the model again."
        )
    with one_sentence(folder):
        getattr(transformers, auto[0]).from_pretrained(
            folder, dtype=config.dtype or torch.float32, local_files_only=True
        )
    return config


def _check_adapters(folder: Path) -> PreTrainedConfig | None:
    """Check that the weights of adapters are those of their configuration; return that of a base on this machine."""
    settings = read_object(folder / "adapter_config.json")
    path = folder / ADAPTERS
    read_header(path)
    with safe_open(path, "pt") as file:
        weights = {name.removeprefix("base_model.model."): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    remedy = "save the adapters again."
    layers = {kind: {name.partition(f".{kind}.")[0] for name in weights if f".{kind}." in name} for kind in MATRICES}
    targets, found = settings.get("target_modules"), set.union(*layers.values())
    wanted = set(_expand(targets)) if isinstance(targets, str) else set()
    lacking = wanted - found | (layers["lora_A"] ^ layers["lora_B"])
    if isinstance(targets, list):
        lacking |= {str(end) for end in targets if not any(f".{name}".endswith(f".{end}") for name in found)}
    if not found or lacking:
        names = show_some(lacking or wanted) or "target_modules"
        raise ValueError(
            f"{path} lacks the LoRA matrices of layers that adapter_config.json names ({names}): {remedy}"
        )
    whole = set(settings.get("modules_to_save") or []) - {head.removesuffix(".") for head in HEADS}
    if not any(key.startswith((*HEADS, "dimension_head.")) for key in weights):
        whole.add("classifier")
    if lost := {str(name) for name in whole if not any(key.startswith(f"{name}.") for key in weights)}:
        raise ValueError(
            f"{path} lacks modules that adapter_config.json names in modules_to_save ({show_some(lost)}): {remedy}"
        )
    if wrong := {name for name, value in weights.items() if not torch.isfinite(value.float()).all()}:
        raise ValueError(f"{path} has NaN or infinite numbers in {show_some(wrong)}: use another checkpoint.")
    base = settings.get("base_model_name_or_path")
    if not isinstance(base, str) or not Path(base, "config.json").is_file():
        return None
    with one_sentence(base):
        return AutoConfig.from_pretrained(base, local_files_only=True)


def _expand(pattern: str) -> Iterator[str]:
    """Yield the names that a pattern of `training.adapters.lora` matches: alternatives, each with one group of numbers."""
    for branch in re.split(r"\|(?![^()]*\))", pattern):
        parts = re.fullmatch(r"([^()]*)(?:\(([^()]*)\))?([^()]*)", branch)
        if parts is None:  # another tool's pattern
            continue
        head, numbers, tail = parts.groups()
        for number in [""] if numbers is None else numbers.split("|"):
            yield re.sub(r"\\(.)", r"\1", f"{head}{number}{tail}")
