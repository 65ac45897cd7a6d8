"""Parametrisations and helpers of the matrix of checks."""

import copy
from functools import lru_cache

import pytest
import torch
from testing_common import CASES, INPUTS, Case, make_batch
from transformers import PreTrainedModel

NAMES = [case.name for case in CASES]


def _every(chosen):
    # Tests of one case run one after the other, so that they share the models of `built`.
    cases = [case for case in CASES if chosen(case)]
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name, scope="module")


every_case = _every(lambda case: True)
every_fusion = _every(lambda case: len(case.modalities) > 1)
# Checks of encoders, which do not apply to late fusions.
every_encoding_case = _every(lambda case: not case.has_members)
every_encoding_fusion = _every(lambda case: len(case.modalities) > 1 and not case.has_members)


def built(case: Case, **fields) -> PreTrainedModel:
    """Return `case.model(**fields)` in evaluation mode, shared by all tests of the case that leave it as it is."""
    return _built(NAMES.index(case.name), tuple(sorted(fields.items()))).eval()


def copied(model: PreTrainedModel) -> PreTrainedModel:
    """Return a copy with its own weights and the same configurations, whose copies would take longer than those of weights."""
    configs = [module.config for module in model.modules() if hasattr(module, "config")]
    return copy.deepcopy(model, {id(config): config for config in configs})


@lru_cache(maxsize=12)
def _built(index: int, fields: tuple) -> PreTrainedModel:
    return CASES[index].model(**dict(fields))


def log_probabilities(model, batch) -> torch.Tensor:
    with torch.no_grad():
        return model(**batch).logits.log_softmax(dim=-1)


def sparse_batch(case) -> dict:
    """Return a batch in which each modality of the case is missing in some row."""
    text = (4, 0, 3, 6) if "text" in case.modalities else (4, 9, 3, 6)
    video = (3, 1, 2, 0) if "video" in case.modalities else (3, 1, 2, 5)
    return make_batch((6000, 4000, 0, 5000), text, video)


def only(batch, modalities) -> dict:
    """Return the inputs of some modalities."""
    return {name: batch[name] for modality in modalities for name in INPUTS[modality]}
