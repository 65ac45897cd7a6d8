"""Estimate of the accelerator memory that training a recipe takes, measured on the CPU (ours)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedModel

from ..configuration.modalities import MODALITIES, SAMPLING_RATE, SPAN_INPUTS
from ..evaluation.task import Task, task_of_config
from ..processing.processor_checks import modalities_of
from .adapters.lora import count_parameters, find_targets, put_adapters
from .adapters.lora_settings import Lora
from .arguments import DataArguments, ModelArguments
from .model_building import build_model
from .recipe import Recipe
from .run_task import sketch_task
from .yaml_reader import read_yaml

REGISTRY = Path(__file__).parent.parent / "recipes" / "registry.yaml"
# Per second of English speech, roughly.
FRAMES, TOKENS, SEGMENTS = 2, 4, {"word": 3, "syllable": 4, "phone": 10}
MAX_TOKENS = 500


@dataclass
class Memory:
    """Bytes that a training step takes, with float32 weights and bfloat16 autocast.

    Args:
        weights: All parameters and buffers.
        gradients: Gradients of the trainable parameters.
        optimizer: The two moments of Adam for each trainable parameter.
        fixed: Activations that do not depend on the batch: bfloat16 copies of weights.
        utterance: Activations of one utterance.
    """

    weights: int
    gradients: int
    optimizer: int
    fixed: int
    utterance: int

    def total(self, batch: int, strategy: str = "one", processes: int = 1) -> float:
        """Return the bytes that each process needs.

        Args:
            batch: Utterances of one process.
            strategy: `"one"` process; `"ddp"`, which copies gradients into buckets; `"zero2"`, which shards gradients and
                optimizer; or `"fsdp"`, which shards the weights as well.
            processes: Number of processes.
        """
        weights, trainable = self.weights, self.gradients + self.optimizer
        if strategy == "ddp":
            trainable += self.gradients
        elif strategy in ("zero2", "fsdp"):
            trainable /= processes
        if strategy == "fsdp":
            weights /= processes
        return weights + trainable + self.fixed + batch * self.utterance


def measure_memory(model: PreTrainedModel, seconds: float = 15.0) -> Memory:
    """Measure the memory of a training step by forward passes of two and of three utterances on the CPU.

    One utterance would not do: autograd keeps less if nothing is repeated along the batch. Dropout on attention weights
    is off, because the usual kernels of accelerators store no attention maps. The workspace of kernels and
    fragmentation are not included.

    Args:
        model: A model with weights. It stays in training mode, without dropout on attention weights.
        seconds: Length of an utterance.
    """
    model.train()
    _disable_attention_dropout(model)
    two, three = (bytes_for_backward(model, make_batch(model, rows, seconds)) for rows in (2, 3))
    weights = sum(value.nbytes for value in model.state_dict().values())
    trainable = sum(parameter.nbytes for parameter in model.parameters() if parameter.requires_grad)
    return Memory(weights, trainable, 2 * trainable, max(3 * two - 2 * three, 0), three - two)


def _disable_attention_dropout(model: nn.Module) -> None:
    """Set dropout on attention weights to 0; encoders keep its probability in different places."""
    for module in model.modules():
        config = getattr(module, "config", None)
        for name in ("attention_dropout", "attention_probs_dropout_prob"):
            if hasattr(config, name):
                setattr(config, name, 0.0)
        if "attention" in type(module).__name__.lower():
            rates = [name for name, value in vars(module).items() if "dropout" in name and isinstance(value, float)]
            for name in rates:
                setattr(module, name, 0.0)
            for child in module.children():
                if isinstance(child, nn.Dropout):
                    child.p = 0.0


def bytes_for_backward(model: nn.Module, batch: dict) -> int:
    """Return the bytes that a bfloat16 forward pass saves for the backward pass, without weights and inputs."""
    excluded = {
        tensor.untyped_storage().data_ptr() for tensor in [*model.parameters(), *model.buffers(), *batch.values()]
    }
    saved = {}

    def save(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in excluded:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16):
        output = model(**batch)
    total = sum(saved.values())
    del output  # kept alive until here, so that no address was used twice
    return total


def make_batch(model: PreTrainedModel, rows: int, seconds: float) -> dict[str, torch.Tensor]:
    """Return a batch of noise with all inputs that a model takes.

    Args:
        model: The model.
        rows: Number of utterances.
        seconds: Length of each. Numbers of tokens, frames and segments are typical of English speech.
    """
    config, batch = model.config, make_labels(task_of_config(model.config), rows)
    modalities = modalities_of(config)
    if "audio" in modalities:
        batch["input_values"] = torch.randn(rows, round(seconds * SAMPLING_RATE))
    if "text" in modalities:
        tokens, encoder = min(round(seconds * TOKENS), MAX_TOKENS), getattr(config, "text_config", None) or config
        batch["input_ids"] = torch.randint(5, encoder.vocab_size, (rows, tokens))
        batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    if "video" in modalities:
        size = getattr(config.vision_config, "image_size", 224)
        batch["pixel_values_videos"] = torch.randn(rows, round(seconds * FRAMES), 3, size, size)
    for level, rate in SEGMENTS.items() if hasattr(config, "span_levels") else ():
        borders = torch.linspace(0, seconds, round(seconds * rate) + 1)
        batch[SPAN_INPUTS[level]] = torch.stack([borders[:-1], borders[1:]], dim=-1).expand(rows, -1, -1)
    return batch


def make_labels(task: Task, rows: int) -> dict[str, torch.Tensor]:
    """Return the labels of a batch, with all classes in turn and values in the middle of the scale."""
    values = dict.fromkeys(task.dimension_names, sum(task.dimension_scale or (0.0,)) / 2)
    return task.encode_labels([{"label": row % max(1, len(task.classes)), "vad": values} for row in range(rows)])


def build_recipe(path: str | Path) -> tuple[PreTrainedModel, DataArguments, int]:
    """Build the model of a recipe with random weights; pretrained encoders become configurations of the same size.

    Args:
        path: Recipe file. If it is not one of `recipes/`, the model has four classes.

    Returns:
        The model, the data arguments, and the number of utterances in a batch of one process.

    Raises:
        ValueError: If the size of an encoder is unknown, or the recipe starts from a trained model.
    """
    recipe = Recipe.read(path, output_dir="unused", use_cpu=True)
    registry = read_yaml(REGISTRY)
    if recipe.model.model_name_or_path is not None:
        raise ValueError(f"{path} starts from a trained model; give a recipe without model_name_or_path.")
    replace_encoders(recipe.model, registry["encoders"])
    classes = {entry["path"]: entry.get("classes") for entry in registry["recipes"]}
    number = classes.get("/".join(Path(path).parts[-2:])) or 4
    model = build_model(recipe.model, sketch_task(recipe.data, number))
    if recipe.model.lora:
        lora = Lora(**recipe.model.lora)
        model = put_adapters(model, lora, find_targets(model, lora))
    return model, recipe.data, recipe.training.per_device_train_batch_size


def replace_encoders(model_args: ModelArguments, configurations: Mapping[str, dict]) -> None:
    """Replace the names of pretrained encoders by configurations of the same size.

    Args:
        model_args: Changed in place.
        configurations: Fields of a configuration by the name of the encoder, as in `recipes/registry.yaml`.

    Raises:
        ValueError: If an encoder has no configuration.
    """
    for modality in MODALITIES.values():
        name = getattr(model_args, modality.encoder_argument)
        if name is None:
            continue
        if name not in configurations:
            raise ValueError(
                f"The size of {name} is not known; recipes/registry.yaml knows {', '.join(configurations)}."
            )
        setattr(model_args, modality.encoder_argument, None)
        model_args.model_config = {**model_args.model_config, modality.config_field: dict(configurations[name])}


def format_memory(name: str, model: PreTrainedModel, memory: Memory, batch: int, processes: int) -> list[str]:
    """Return the cells of a recipe's row: parameters in millions, memory in GB.

    Args:
        name: Name of the recipe.
        model: Its model.
        memory: From `measure_memory`.
        batch: Utterances in a batch of one process.
        processes: Number of processes of the last three columns.
    """
    parameters = count_parameters(model)
    sizes = [memory.weights, memory.gradients, memory.optimizer, memory.utterance]
    sizes += [memory.total(batch, strategy, processes) for strategy in ("one", "ddp", "zero2", "fsdp")]
    numbers = [f"{parameters['total'] / 1e6:.0f}", f"{parameters['trainable'] / 1e6:.0f}", str(batch)]
    return [name, *numbers, *(f"{size / 1e9:.2f}" for size in sizes)]
