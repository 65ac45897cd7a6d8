"""What training a recipe's model takes of an accelerator's memory, counted from the model (ours)."""

from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from torch import nn
from transformers import PreTrainedModel

from .arguments import DataArguments, ModelArguments
from .model_building import build_model
from .recipe import Recipe

REGISTRY = Path(__file__).parent.parent / "recipes" / "registry.yaml"
SAMPLING_RATE = 16000
FRAMES_PER_SECOND = 2.0
# A second of English speech, about.
TOKENS, SEGMENTS = 4, {"word_spans": 3, "syllable_spans": 4, "phone_spans": 10}


@dataclass
class Memory:
    """Bytes that a training step takes, in float32 weights and bfloat16 autocast.

    Args:
        weights: of all parameters and buffers.
        gradients: of those that learn.
        optimiser: Adam's two numbers for each that learns.
        fixed: what autograd keeps whatever the batch: weights in bfloat16.
        utterance: what it keeps of each utterance.
    """

    weights: int
    gradients: int
    optimiser: int
    fixed: int
    utterance: int

    def total(self, batch: int, strategy: str = "one", processes: int = 1) -> float:
        """Bytes on each of the processes.

        Args:
            batch: utterances on each.
            strategy: "one" process; "ddp", which copies gradients into buckets; "zero2", which shares gradients and
                optimiser among processes; or "fsdp", which shares the weights as well.
            processes: that train together.
        """
        weights, learned = self.weights, self.gradients + self.optimiser
        if strategy == "ddp":
            learned += self.gradients
        elif strategy in ("zero2", "fsdp"):
            learned /= processes
        if strategy == "fsdp":
            weights /= processes
        return weights + learned + self.fixed + batch * self.utterance


def measure_memory(model: PreTrainedModel, seconds: float = 15.0) -> Memory:
    """Count a model's numbers, and what autograd keeps in a forward pass of two and of three utterances.

    Not of one: where nothing has to be repeated along the batch, less is kept.

    The pass is really made, on the CPU. Attention maps are not kept, for the usual kernels of accelerators keep none:
    so there is no dropout on them here. What kernels need for themselves, and fragmentation, are not counted.

    Args:
        model: with its weights.
        seconds: that an utterance lasts.
    """
    model.train()
    _drop_no_attention(model)
    two, three = (kept_by_autograd(model, make_batch(model, rows, seconds)) for rows in (2, 3))
    weights = sum(value.nbytes for value in model.state_dict().values())
    learned = sum(parameter.nbytes for parameter in model.parameters() if parameter.requires_grad)
    return Memory(weights, learned, 2 * learned, max(3 * two - 2 * three, 0), three - two)


def _drop_no_attention(model: nn.Module) -> None:
    """Switch off dropout on attention weights, wherever encoders keep its probability."""
    for module in model.modules():
        config = getattr(module, "config", None)
        for name in ("attention_dropout", "attention_probs_dropout_prob"):
            if hasattr(config, name):
                setattr(config, name, 0.0)
        if "attention" in type(module).__name__.lower():
            for name in [
                name for name, value in vars(module).items() if "dropout" in name and isinstance(value, float)
            ]:
                setattr(module, name, 0.0)
            for part in module.children():
                if isinstance(part, nn.Dropout):
                    part.p = 0.0


def kept_by_autograd(model: nn.Module, batch: dict) -> int:
    """Bytes that a forward pass in bfloat16 keeps for the backward pass, besides weights and inputs."""
    others = {
        tensor.untyped_storage().data_ptr() for tensor in [*model.parameters(), *model.buffers(), *batch.values()]
    }
    kept = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in others:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16):
        output = model(**batch)
    total = sum(kept.values())
    del output  # until here the addresses were taken
    return total


def make_batch(model: PreTrainedModel, rows: int, seconds: float) -> dict[str, torch.Tensor]:
    """Noise of so many seconds, with as many words and pictures as such an utterance has, for what the model takes."""
    config, batch = model.config, {"labels": torch.arange(rows) % model.config.num_labels}
    if "audio" in config.modalities:
        batch["input_values"] = torch.randn(rows, round(seconds * SAMPLING_RATE))
    if "text" in config.modalities:
        tokens = min(round(seconds * TOKENS), 500)
        batch["input_ids"] = torch.randint(5, config.text_config.vocab_size, (rows, tokens))
        batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    if "video" in config.modalities:
        size = getattr(config.vision_config, "image_size", 224)
        batch["pixel_values_videos"] = torch.randn(rows, round(seconds * FRAMES_PER_SECOND), 3, size, size)
    for name, rate in SEGMENTS.items():
        borders = torch.linspace(0, seconds, round(seconds * rate) + 1)
        batch[name] = torch.stack([borders[:-1], borders[1:]], dim=-1).expand(rows, -1, -1)
    return batch


def build_recipe(path: str | Path) -> tuple[PreTrainedModel, DataArguments, int]:
    """The model of a recipe with random weights, its data arguments, and its utterances of a batch of one process.

    Configurations of the same size stand for the pre-trained encoders that recipes in `recipes/` name.

    Raises:
        ValueError: if it names another, or starts from a trained model.
    """
    recipe = Recipe.read(path, output_dir="unused", use_cpu=True)
    registry = yaml.safe_load(REGISTRY.read_text("utf-8"))
    if recipe.model.model_name_or_path is not None:
        raise ValueError(f"{path} starts from a trained model; give a recipe that builds its own.")
    replace_encoders(recipe.model, registry["encoders"])
    classes = {entry["path"]: entry.get("classes") for entry in registry["recipes"]}
    number = classes.get("/".join(Path(path).parts[-2:])) or 4
    model = build_model(recipe.model, [f"class {index}" for index in range(number)])
    return model, recipe.data, recipe.training.per_device_train_batch_size


def replace_encoders(model_args: ModelArguments, configurations: dict) -> None:
    """Put configurations in the place of named encoders.

    Raises:
        ValueError: if there is none for a name.
    """
    for kind in ("audio", "text", "vision"):
        name = getattr(model_args, f"{kind}_model_name_or_path")
        if name is None:
            continue
        if name not in configurations:
            raise ValueError(
                f"The size of {name} is not known; recipes/registry.yaml knows {', '.join(configurations)}."
            )
        setattr(model_args, f"{kind}_model_name_or_path", None)
        model_args.model_config = {**model_args.model_config, f"{kind}_config": dict(configurations[name])}


def format_memory(name: str, model: PreTrainedModel, memory: Memory, batch: int, processes: int) -> list[str]:
    """The cells of a recipe's line: millions of parameters and of those that learn, and GB."""
    learned = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    sizes = [memory.weights, memory.gradients, memory.optimiser, memory.utterance]
    sizes += [memory.total(batch, strategy, processes) for strategy in ("one", "ddp", "zero2", "fsdp")]
    numbers = [f"{model.num_parameters() / 1e6:.0f}", f"{learned / 1e6:.0f}", str(batch)]
    return [name, *numbers, *(f"{size / 1e9:.2f}" for size in sizes)]
