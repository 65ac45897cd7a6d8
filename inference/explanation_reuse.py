"""Encoders that compute equal rows once: the forms of an utterance differ in one part and share all others."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from ..configuration.modalities import MODALITIES
from ..modeling.modeling_emofusion import EmoFusionModel
from ..modeling.modeling_lengths import Lengths
from ..modeling.modeling_rows import Rows

KEPT_BYTES = 256 * 2**20  # results of one stage of one encoder

Row = tuple[torch.Tensor, int]
Stage = Callable[..., tuple]


class KnownRows:
    """The results of one stage of an encoder by the content of rows, which do not depend on the others in their batch.

    Args:
        most_bytes: The size of all results, above which the oldest are dropped.
    """

    def __init__(self, most_bytes: int = KEPT_BYTES):
        self.most_bytes, self.bytes = most_bytes, 0
        self.rows: dict[bytes, Row] = {}

    def run(self, stage: Stage, values: torch.Tensor, lengths: Lengths) -> tuple[torch.Tensor, Lengths]:
        """Return the result of a stage for padded rows, which runs on those that are not known.

        Args:
            stage: From rows `(batch, positions, ...)` and their lengths to padded states and their lengths.
            values: `(batch, positions, ...)`.
            lengths: The valid positions of every row; 0 where it lacks the modality.
        """
        keys = [_digest(row, length) for row, length in zip(values, lengths, strict=True)]
        found = {key: self.rows[key] for key in keys if key in self.rows}
        new = {key: number for number, key in reversed(list(enumerate(keys))) if key not in found}
        if new:
            numbers = sorted(new.values())
            given = values[numbers]
            states, counts = stage(given, tuple(lengths[number] for number in numbers))
            if states is given:  # nothing is frozen: there is no first stage
                return values, lengths
            for number, row, count in zip(numbers, states, counts, strict=True):
                found[keys[number]] = self.rows[keys[number]] = row[: max(1, count)].clone(), count
                self.bytes += _bytes(found[keys[number]])
        while self.bytes > self.most_bytes:
            self.bytes -= _bytes(self.rows.pop(next(iter(self.rows))))
        states, counts = zip(*(found[key] for key in keys), strict=True)
        return pad_sequence(states, batch_first=True), counts


@contextmanager
def reuse_rows(model: nn.Module) -> Iterator[None]:
    """Let all encoders of a model compute equal rows once, in and across the batches of the block; results are equal.

    Args:
        model: A classifier of emofusion in evaluation mode, whose weights do not change in the block.
    """
    replaced: list[tuple[nn.Module, str]] = []

    def replace(module: nn.Module, name: str, function: Stage) -> None:
        replaced.append((module, name))
        module.__dict__[name] = function

    for module in model.modules():
        if isinstance(module, EmoFusionModel):
            for name in module.config.modalities:
                replace(module, f"_encode_{name}", partial(KnownRows().run, getattr(module, f"_encode_{name}")))
                replace(module, f"_finish_{name}", _known_finish(getattr(module, f"_finish_{name}")))
    for member in getattr(getattr(model, "model", None), "members", ()):
        if getattr(member, "main_input_name", "") == MODALITIES["audio"].main_input and not hasattr(member, "encode"):
            replace(member, "forward", _known_call(member.forward))  # of transformers, one row at a time
    try:
        yield
    finally:
        for module, name in replaced:
            del module.__dict__[name]


def _known_finish(stage: Stage) -> Stage:
    """Return the second stage of a modality; layers and maps of the encoder are not stored, but computed."""
    known = KnownRows()

    def run(values: torch.Tensor, lengths: Lengths, output_hidden_states: bool, output_attentions: bool) -> tuple:
        if output_hidden_states or output_attentions:
            return stage(values, lengths, output_hidden_states, output_attentions)
        states, counts = known.run(run_stage, values, lengths)
        return states, Rows(counts, states.device), (), ()

    def run_stage(values: torch.Tensor, lengths: Lengths) -> tuple[torch.Tensor, Lengths]:
        states, rows, *_ = stage(values, lengths, False, False)
        return states, rows.lengths

    return run


def _known_call(forward: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[bytes, Any] = {}

    def run(input_values: torch.Tensor, **options: Any) -> Any:
        key = _digest(input_values, 0)
        if key not in known:
            known[key] = forward(input_values=input_values, **options)
        return known[key]

    return run


def _digest(row: torch.Tensor, length: int) -> bytes:
    """Return a fingerprint of the valid positions of a row; of a whole tensor if the length is 0."""
    valid = (row[:length] if length else row[:1]).contiguous().cpu()
    sha = hashlib.sha256(f"{length} {tuple(valid.shape)} {valid.dtype}".encode())
    sha.update(valid.flatten().view(torch.uint8).numpy())
    return sha.digest()


def _bytes(row: Row) -> int:
    return row[0].numel() * row[0].element_size()
