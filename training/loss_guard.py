"""Stop a training whose loss is not a number, with cause and remedy (ours)."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from transformers import TrainingArguments

from ..modeling.modeling_checkpoint import non_finite_weights


class LossGuard:
    """Collects the losses of steps on the device, and raises an error if one is not finite.

    A GPU is not waited for: the losses are read where Trainer waits for it anyway. All processes raise the error if the
    loss of one is not finite.
    """

    def __init__(self):
        self._losses = []  # since the last check

    def add(self, loss: torch.Tensor) -> None:
        """Add the loss of a step, a scalar."""
        self._losses.append(loss.detach())

    def check(self, args: TrainingArguments, step: int, model: nn.Module, inputs: Mapping | None = None) -> None:
        """Check the losses since the last check.

        Args:
            args: The arguments of the run.
            step: The number of the last step, for the message.
            model: The model, which is searched for the cause.
            inputs: The last batch, likewise.

        Raises:
            ValueError: If one was not finite.
        """
        losses, self._losses = self._losses, []
        if not losses:
            return
        behind = torch.arange(len(losses), 0, -1, device=losses[0].device)  # batches, from the end
        wrong = (behind * ~torch.isfinite(torch.stack(losses))).max()
        if args.world_size > 1:
            dist.all_reduce(wrong, dist.ReduceOp.MAX)
        if count := int(wrong):
            step -= (count - 1) // args.gradient_accumulation_steps
            raise ValueError(f"The loss of step {step} is not a number: {_find_cause(args, model, inputs or {})}.")

    def check_before_saving(self, args: TrainingArguments, step: int, model: nn.Module) -> None:
        """Check the losses as `check` does, and the weights, which a gradient can spoil although the loss is finite.

        Raises:
            ValueError: If a loss or a weight is not finite; in all processes, if it is so in one.
        """
        self.check(args, step, model)
        wrong = torch.tensor(len(non_finite_weights(model)), device=args.device)
        if args.world_size > 1:
            dist.all_reduce(wrong, dist.ReduceOp.MAX)
        if int(wrong):
            raise ValueError(f"The model is not saved after step {step}: the weights {_explain_overflow(args)}.")


def check_scores(
    scores: object, args: TrainingArguments, model: nn.Module, trained: bool, missing: bool = False
) -> None:
    """Check the outputs of a model on a split.

    Args:
        scores: Array `(utterances, ...)`, or a nest of arrays.
        args: The arguments of the run.
        model: The model.
        trained: Whether this run has trained it.
        missing: Whether NaN is a value that is missing, and faults are infinite.

    Raises:
        ValueError: If a number in them is not finite.
    """
    arrays = [array for array in _flatten(scores) if np.issubdtype(array.dtype, np.floating)]
    is_wrong = np.isinf if missing else lambda array: ~np.isfinite(array)
    wrong = max((int(is_wrong(array).reshape(len(array), -1).any(axis=1).sum()) for array in arrays), default=0)
    if wrong:
        cause = "the checkpoint has weights that are not finite, or overflows; use another, or float32"
        raise ValueError(
            f"The scores of {wrong} utterances are not numbers: {_find_cause(args, model, {}) if trained else cause}."
        )


def _find_cause(args: TrainingArguments, model: nn.Module, inputs: Mapping) -> str:
    wrong = [name for name, value in _floats(inputs) if not torch.isfinite(value).all()]
    if wrong:
        return f"the input {wrong[0]} of the batch has values that are not finite; check the recordings of these rows"
    cause = "the weights" if non_finite_weights(model) else "the model's activations or its loss"
    return f"{cause} {_explain_overflow(args)}"


def _explain_overflow(args: TrainingArguments) -> str:
    rates = [("learning_rate", args.learning_rate), *getattr(args, "learning_rates", {}).items()]
    shown = ", ".join(f"{name} {rate:g}" for name, rate in rates)
    half = " use bf16 instead of fp16, which ends at 65504," if args.fp16 or args.fp16_full_eval else ""
    return f"overflowed;{half} lower the learning rate ({shown}), or add warmup_steps"


def _floats(inputs: Mapping, prefix: str = "") -> Iterable[tuple[str, torch.Tensor]]:
    for name, value in inputs.items():
        if name.endswith("labels"):  # NaN is an unknown value
            continue
        if isinstance(value, Mapping):
            yield from _floats(value, f"{prefix}{name}.")
        elif isinstance(value, torch.Tensor) and value.is_floating_point():
            yield f"{prefix}{name}", value


def _flatten(scores: object) -> Iterable[np.ndarray]:
    if isinstance(scores, np.ndarray):
        yield scores
    elif isinstance(scores, Mapping | list | tuple):
        for inner in scores.values() if isinstance(scores, Mapping) else scores:
            yield from _flatten(inner)
