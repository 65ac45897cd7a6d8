"""Contributions of the members of a late fusion."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from ..configuration.modalities import name_system
from .explanation_records import Member, Target


def read_members(
    model: PreTrainedModel, batch: Mapping[str, Any], targets: Sequence[Target], score: Callable[[torch.Tensor], Any]
) -> Iterator[Member]:
    """Yield the members of a late fusion with their own scores and their contributions; nothing for another model.

    A member is removed as one without input: the combination then uses the others alone (see `late_fusion`).

    Args:
        model: The classifier.
        batch: Its inputs, of one utterance.
        targets: The outputs that are explained.
        score: Returns the scores of the targets for logits `(outputs,)`.
    """
    if not hasattr(model.model, "members"):
        return
    count, head = len(model.model.members), model.classifier or model.dimension_head
    outputs = model.model(**batch).embedding.unflatten(-1, (count, -1))[0]
    missing = torch.nan if model.config.is_regression else 0.0
    given = [bool(one.any() and not one.isnan().any()) for one in outputs]
    without = outputs.expand(count, -1, -1).clone()
    without[range(count), range(count)] = missing
    logits = model.apply_heads(without.flatten(1))["logits"].float().cpu()
    weights = getattr(head, "weights", None)
    for number, member in enumerate(model.model.members):
        is_removable = given[number] and sum(given) > 1
        yield Member(
            number,
            _name(member.config),
            None if weights is None else float(weights[number]),
            score(outputs[number].float().cpu()) if given[number] else None,
            tuple(target.score - value for target, value in zip(targets, score(logits[number]), strict=True))
            if is_removable
            else None,
        )


def _name(config: Any) -> str:
    variant = config.model_type.removeprefix("emofusion_")
    return name_system(variant, getattr(config, "modality", None))
