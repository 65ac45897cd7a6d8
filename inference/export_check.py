"""Comparison of an exported graph with its model on random batches, with rows and batches that lack modalities."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from transformers import PreTrainedConfig, PreTrainedModel, ProcessorMixin

from ..configuration.modalities import CONTEXT_INPUT, MODALITIES, SAMPLING_RATE, SPAN_INPUTS

# The second dimension of each input in the graph.
AXES = {"audio": "samples", "text": "tokens", "video": "frames"} | {
    name: f"{level}s" for level, name in SPAN_INPUTS.items()
}
# Lengths of the rows of the batches that are compared: seconds, tokens, frames. They differ from those of the traced batch.
TRACED = ((0.4, 5, 3), (0.9, 9, 2))
COMPARED = (
    ((1.2, 3, 2), (0.01, 1, 1), (2.0, 12, 4), (0.7, 7, 3)),
    ((3.1, 10, 5),),
    ((0.6, 4, 1), (0.31, 6, 2), (0.45, 2, 1)),
)
SEGMENTS = {"word": 4, "syllable": 7, "phone": 11}  # segments of a row at most

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class RandomBatches:
    """Random batches for a model.

    Args:
        input_names: All inputs of the graph.
        vocabulary: The number of token ids.
        image_shape: Channels, height and width of a frame.
    """

    input_names: Sequence[str]
    vocabulary: int
    image_shape: tuple[int, ...]
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    @classmethod
    def of(cls, model: PreTrainedModel, processor: ProcessorMixin, input_names: Sequence[str]) -> "RandomBatches":
        """Return the batches for a model and its processor."""
        configs = getattr(model.config, "member_configs", None) or [model.config]
        texts = [getattr(config, "text_config", None) or config for config in configs]
        vocabulary = min((text.vocab_size for text in texts if getattr(text, "vocab_size", 0)), default=0)
        image = (0, 0, 0)
        if processor.image_processor is not None:
            frame = [np.zeros((8, 8, 3), np.uint8)]
            options = {"input_data_format": "channels_last", "return_tensors": "np"}
            image = processor.image_processor(frame, **options)["pixel_values"].shape[1:]
        return cls(input_names, vocabulary, tuple(image))

    @property
    def modalities(self) -> list[str]:
        """The modalities of the model."""
        names = {split_name(name)[1] for name in self.input_names}
        return [name for name, modality in MODALITIES.items() if modality.main_input in names]

    def traced(self) -> Arrays:
        """Return the batch to trace the graph with: two rows with all modalities."""
        return self._make(TRACED)

    def compared(self) -> list[Arrays]:
        """Return batches to compare: some rows lack a modality, and for each modality there is a batch without it."""
        batches, modalities = [self._make(rows) for rows in COMPARED[:2]], self.modalities
        missing = {row: modalities[row % len(modalities)] for row in (1, 2)} if len(modalities) > 1 else {}
        batches.append(self._make(COMPARED[0], missing))
        if len(modalities) > 1:
            batches += [self._make(COMPARED[2], dict.fromkeys(range(3), name)) for name in modalities]
        return batches

    def _make(self, rows: Sequence[tuple], missing: Mapping[int, str] | None = None) -> Arrays:
        counts = {
            "audio": [round(seconds * SAMPLING_RATE) for seconds, _, _ in rows],
            "text": [tokens for _, tokens, _ in rows],
            "video": [frames for _, _, frames in rows],
        }
        for row, name in (missing or {}).items():
            counts[name][row] = 0
        batch = {}
        for key in self.input_names:
            name = split_name(key)[1]
            if name in SPAN_INPUTS.values():
                level = next(level for level, spans in SPAN_INPUTS.items() if spans == name)
                batch[key] = self._spans(counts["audio"], SEGMENTS[level])
                continue
            if name == CONTEXT_INPUT:
                batch[key] = self._context_lengths(counts["text"])
                continue
            modality = next(
                modality for modality in MODALITIES.values() if name in (modality.main_input, modality.mask)
            )
            lengths = counts[modality.name]
            mask = (np.arange(max(1, *lengths)) < np.array(lengths)[:, None]).astype(np.int64)
            batch[key] = mask if name == modality.mask else self._values(modality.name, mask)
        return batch

    def _values(self, modality: str, mask: np.ndarray) -> np.ndarray:
        if modality == "text":
            return self.random.integers(0, self.vocabulary, mask.shape) * mask
        shape = mask.shape if modality == "audio" else (*mask.shape, *self.image_shape)
        values = self.random.standard_normal(shape, dtype=np.float32)
        return values * mask.reshape(*mask.shape, *(1,) * (len(shape) - 2)).astype(np.float32)

    def _context_lengths(self, tokens: Sequence[int]) -> np.ndarray:
        """Return numbers of tokens of earlier turns, which leave two for the utterance; none in the last row of several."""
        most = np.maximum(1, np.array(tokens) - 1)
        lengths = self.random.integers(0, most)
        lengths[-1] *= len(tokens) == 1
        return lengths

    def _spans(self, samples: Sequence[int], most: int) -> np.ndarray:
        """Return segments one behind the other; the last row of several has none."""
        spans = np.full((len(samples), most, 2), -1.0, dtype=np.float32)
        for row, count in enumerate(samples):
            if count and (row < len(samples) - 1 or row == 0):
                number = self.random.integers(1, most + 1)
                times = np.sort(self.random.uniform(0, count / SAMPLING_RATE, number + 1))
                spans[row, :number] = np.stack([times[:-1], times[1:]], axis=1)
        return spans


def split_name(name: str) -> tuple[str, str]:
    """Return the prefix of an input for one member of a late fusion, and the name behind it."""
    return re.fullmatch(r"(member_\d+_|)(.*)", name).groups()


def axes_of(name: str) -> dict[int, str]:
    """Return the names of the dynamic dimensions of an input of the graph."""
    prefix, plain = split_name(name)
    if plain == CONTEXT_INPUT:
        return {0: "batch"}
    for modality in MODALITIES.values():
        if plain in (modality.main_input, modality.mask):
            return {0: "batch", 1: prefix + AXES[modality.name]}
    return {0: "batch", 1: prefix + AXES[plain]}


def compare(
    model: PreTrainedModel, run: Callable[[Arrays], Arrays], batches: Sequence[Arrays]
) -> dict[str, float | int]:
    """Compare a graph with its model.

    Args:
        model: The classifier; inputs that a batch lacks in all rows are left out for it.
        run: The graph: from inputs to outputs by name.
        batches: The batches.

    Returns:
        `rows`, the number of rows; for a model of classes, `largest_difference_of_probabilities` and `equal_classes`, the
        share of rows with the same most probable class; for a model of dimensions, `largest_difference_of_dimensions`
        as a share of half the scale.
    """
    report, config = {"rows": sum(len(next(iter(batch.values()))) for batch in batches)}, model.config
    pairs = [(_run_model(model, batch), run(batch)) for batch in batches]
    dimensions = "logits" if config.is_regression else "dimensions"
    if not config.is_regression:
        wanted, given = (_probabilities([pair[place]["logits"] for pair in pairs]) for place in (0, 1))
        report["largest_difference_of_probabilities"] = float(np.abs(wanted - given).max())
        report["equal_classes"] = float((wanted.argmax(-1) == given.argmax(-1)).mean())
    if dimensions in pairs[0][1]:
        largest = max(float(np.abs(wanted[dimensions] - given[dimensions]).max()) for wanted, given in pairs)
        report["largest_difference_of_dimensions"] = largest / _half_scale(config)
    return report


@torch.no_grad()
def _run_model(model: PreTrainedModel, batch: Arrays) -> Arrays:
    masks = {modality.mask: modality.inputs for modality in MODALITIES.values()}
    absent = set()
    for name, values in batch.items():
        prefix, plain = split_name(name)
        if plain in masks and not values.any():
            absent |= {prefix + other for other in masks[plain]}
    output = model(**{name: torch.from_numpy(values) for name, values in batch.items() if name not in absent})
    outputs = {"logits": output.logits, "dimensions": output.dimensions}
    return {name: values.float().numpy() for name, values in outputs.items() if values is not None}


def _probabilities(logits: Sequence[np.ndarray]) -> np.ndarray:
    return torch.from_numpy(np.concatenate(logits)).softmax(dim=-1).numpy()


def _half_scale(config: PreTrainedConfig) -> float:
    lowest, highest = config.dimension_scale
    return (highest - lowest) / 2
