"""Model soup: one model with the mean of the weights of several (Wortsman et al. 2022, arXiv 2203.05482)."""

import copy
from collections.abc import Mapping

import torch
from transformers import PreTrainedModel


@torch.no_grad()
def build_soup(models: Mapping[str, PreTrainedModel]) -> PreTrainedModel:
    """Return a copy of the first model with the mean of the weights of all.

    Integer buffers, as the number of batches of a batch normalisation, are those of the first. The mean is computed in
    float64.

    Args:
        models: Models of one class and size with the same labels in the same order, by name.

    Raises:
        ValueError: If the models differ in more than their weights.
    """
    (first, model), *others = models.items()
    shapes = _describe(model)
    for name, other in others:
        if _describe(other) != shapes:
            raise ValueError(
                f"The members {first} and {name} have no common mean of weights: they differ in class, sizes, or order or "
                "scale of labels; give members of one recipe, or another combination."
            )
    soup = copy.deepcopy(model)
    states = [other.state_dict() for other in models.values()]
    for name, value in soup.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.stack([state[name].double() for state in states]).mean(dim=0))
    return soup


def _describe(model: PreTrainedModel) -> tuple:
    """Return what models with a common mean have in common."""
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    config = model.config
    learned = [getattr(config, name, None) for name in ("problem_type", "dimensions", "dimension_scale")]
    return type(model), shapes, sorted(config.id2label.items()), learned
